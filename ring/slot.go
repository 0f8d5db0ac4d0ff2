package ring

import "bytes"

// Slots is the number of positions on the ring, as in Redis Cluster.
const Slots = 16384

// Slot returns a key's position: CRC16 of the key modulo [Slots]. Where the
// key holds a non-empty {hash tag}, only the tag counts (Redis Cluster
// specification, "Hash tags": from the first { to the first } after it).
func Slot(key []byte) uint16 {
	if open := bytes.IndexByte(key, '{'); open >= 0 {
		if length := bytes.IndexByte(key[open+1:], '}'); length > 0 {
			key = key[open+1 : open+1+length]
		}
	}
	return crc16(key) % Slots
}

// crc16Poly is the polynomial of CRC16-CCITT (XMODEM): no reflection, zero
// initial value, zero final xor.
const crc16Poly = 0x1021

var crc16Table = makeCRC16Table()

func makeCRC16Table() (t [256]uint16) {
	for i := range t {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ crc16Poly
			} else {
				crc <<= 1
			}
		}
		t[i] = crc
	}
	return t
}

func crc16(b []byte) (crc uint16) {
	for _, c := range b {
		crc = crc<<8 ^ crc16Table[byte(crc>>8)^c]
	}
	return crc
}
