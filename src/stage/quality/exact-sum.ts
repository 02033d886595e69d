import { addDecimals, type Decimal, decimalOf } from '../decimal.ts'

/** A decimal of so many characters has digits that a double holds. */
const SHORT = 15
/** A sum of doubles that are integers is exact up to 2^53: this leaves room for one more short decimal. */
const MOST = 2 ** 52

/**
 * A sum of decimals without a rounding.
 *
 * Why: short decimals, which nearly all are, are added as integers, one sum for each number of digits behind the point;
 *      BigInt only takes over what these cannot hold.
 */
export class ExactSum {
  readonly #short = new Float64Array(SHORT + 1)
  #rest: Decimal = { digits: 0n, scale: 0 }

  /** Adds an integer that a double holds. */
  addInteger(value: number): void {
    if (Math.abs(value) > MOST) this.#add({ digits: BigInt(value), scale: 0 })
    else this.#addShort(value, 0)
  }

  /** Adds the decimal that a text says; false for none. */
  addText(text: string): boolean {
    if (text.length <= SHORT && this.#addDigits(text)) return true
    const decimal = decimalOf(text)
    if (decimal === null) return false
    this.#add(decimal)
    return true
  }

  get total(): Decimal {
    return [...this.#short].reduce<Decimal>(
      (sum, digits, scale) =>
        digits === 0 ? sum : addDecimals(sum, { digits: BigInt(digits), scale }),
      this.#rest,
    )
  }

  /** False where there is more than a sign, digits and a point. */
  #addDigits(text: string): boolean {
    const negative = text.charCodeAt(0) === 45
    let digits = 0
    let point = -1
    let i = negative ? 1 : 0
    const first = i
    for (; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code === 46 && point < 0) point = i
      else if (code < 48 || code > 57) return false
      else digits = digits * 10 + (code - 48)
    }
    if (i - first <= (point < 0 ? 0 : 1)) return false
    this.#addShort(negative ? -digits : digits, point < 0 ? 0 : i - 1 - point)
    return true
  }

  #addShort(digits: number, scale: number): void {
    const sum = this.#short[scale]! + digits
    if (Math.abs(sum) <= MOST) this.#short[scale] = sum
    else {
      this.#add({ digits: BigInt(sum), scale })
      this.#short[scale] = 0
    }
  }

  #add(decimal: Decimal): void {
    this.#rest = addDecimals(this.#rest, decimal)
  }
}
