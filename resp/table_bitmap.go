package resp

import "github.com/dynaring/dynaring/coordinator"

// bitmapCommands are on the bits of values.
func bitmapCommands() []*row {
	return []*row{
		{
			name: "setbit", arity: 4, flags: "write denyoom", cats: "@write @bitmap @slow",
			first: 1, last: 1, step: 1, access: "RW access update",
			group: "bitmap", since: "2.2.0", complexity: "O(1)",
			summary: "Sets or clears the bit at offset in the string value stored at key",
			args:    []argument{key("key"), integer("offset"), integer("value")},
			class:   coordinator.RMW, plan: planSetBit, write: writeSetBit, finish: finishInt,
		},
		{
			name: "getbit", arity: 3, flags: "readonly fast", cats: "@read @bitmap @fast",
			first: 1, last: 1, step: 1, access: "RO access",
			group: "bitmap", since: "2.2.0", complexity: "O(1)",
			summary: "Returns the bit value at offset in the string value stored at key",
			args:    []argument{key("key"), integer("offset")},
			read:    getBit,
		},
		{
			name: "bitcount", arity: -2, flags: "readonly", cats: "@read @bitmap @slow",
			first: 1, last: 1, step: 1, access: "RO access",
			group: "bitmap", since: "2.6.0", complexity: "O(N)",
			summary: "Count set bits in a string",
			history: []change{
				{"7.0.0", "Added the `BYTE|BIT` option."},
			},
			args: []argument{key("key"), block("index", integer("start"), integer("end"), oneOf("index_unit", word("byte", "BYTE"), word("bit", "BIT")).from("7.0.0").opt()).opt()},
			read: bitCount,
		},
		{
			name: "bitpos", arity: -3, flags: "readonly", cats: "@read @bitmap @slow",
			first: 1, last: 1, step: 1, access: "RO access",
			group: "bitmap", since: "2.8.7", complexity: "O(N)",
			summary: "Find first bit set or clear in a string",
			history: []change{
				{"7.0.0", "Added the `BYTE|BIT` option."},
			},
			args: []argument{key("key"), integer("bit"), block("index", integer("start"), block("end_index", integer("end"), oneOf("index_unit", word("byte", "BYTE"), word("bit", "BIT")).from("7.0.0").opt()).opt()).opt()},
			read: bitPos,
		},
		{
			name: "bitop", arity: -4, flags: "write denyoom", cats: "@write @bitmap @slow",
			first: 2, last: -1, step: 1,
			specs: []spec{{2, 2, 1, "OW update", ""}, {3, -1, 1, "RO access", ""}},
			group: "bitmap", since: "2.6.0", complexity: "O(N)",
			summary: "Perform bitwise operations between strings",
			args:    []argument{str("operation"), key("destkey"), key("key").in(1).many()},
			exec:    bitOp,
		},
		{
			name: "bitfield", arity: -2, flags: "write denyoom", cats: "@write @bitmap @slow",
			first: 1, last: 1, step: 1, access: "RW access update variable_flags",
			note:  "This command allows both access and modification of the key",
			group: "bitmap", since: "3.2.0", complexity: "O(1) for each subcommand specified",
			summary: "Perform arbitrary bitfield integer operations on strings",
			args:    []argument{key("key"), oneOf("operation", block("encoding_offset", str("encoding"), integer("offset")).after("GET"), block("write", oneOf("wrap_sat_fail", word("wrap", "WRAP"), word("sat", "SAT"), word("fail", "FAIL")).after("OVERFLOW").opt(), oneOf("write_operation", block("encoding_offset_value", str("encoding"), integer("offset"), integer("value")).after("SET"), block("encoding_offset_increment", str("encoding"), integer("offset"), integer("increment")).after("INCRBY")))).opt().many()},
			class:   coordinator.RMW, plan: planBitField, write: writeBitField, finish: finishBitField,
		},
		{
			name: "bitfield_ro", arity: -2, flags: "readonly fast", cats: "@read @bitmap @fast",
			first: 1, last: 1, step: 1, access: "RO access",
			group: "bitmap", since: "6.0.0", complexity: "O(1) for each subcommand specified",
			summary: "Perform arbitrary bitfield integer operations on strings. Read-only variant of BITFIELD",
			args:    []argument{key("key"), block("encoding_offset", str("encoding"), integer("offset")).after("GET").opt().many().manyTokens()},
			read:    bitFieldRO,
		},
	}
}
