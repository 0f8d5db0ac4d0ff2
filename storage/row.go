package storage

// Row kinds: the first byte of every row.
const kindCell = 'c'

// AppendRow appends the row of the cell (key, field) in slot to dst.
func AppendRow(dst []byte, slot uint16, key, field []byte) []byte { return dst }

// ParseRow splits a cell's row.
func ParseRow(row []byte) (slot uint16, key, field []byte, err error) { return 0, nil, nil, nil }

// RowSlotStart appends the lower bound of the rows of slot to dst.
func RowSlotStart(dst []byte, slot int) []byte { return dst }
