package migrate

// crcPolynomial is that of CRC64NVME, its bits reversed as the algorithm has them.
const crcPolynomial = 0x9a6c9329ac4bc9b5

// joinCRC returns the CRC64NVME of two pieces in a row, from those of the pieces and the
// length of the second one in bytes: the first is moved up by multiplying it with x^8n,
// modulo the polynomial.
func joinCRC(first, second uint64, n int64) uint64 {
	power, square := uint64(1)<<63, uint64(1)<<(63-8) // 1 and x^8
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			power = multiply(power, square)
		}
		square = multiply(square, square)
	}
	return multiply(first, power) ^ second
}

// multiply multiplies two polynomials modulo crcPolynomial; bit 63 is x^0.
func multiply(a, b uint64) (product uint64) {
	for ; a != 0; a <<= 1 {
		if a>>63 == 1 {
			product ^= b
		}
		// b times x
		if b&1 == 1 {
			b = b>>1 ^ crcPolynomial
		} else {
			b >>= 1
		}
	}
	return product
}
