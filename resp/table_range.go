package resp

import "github.com/dynaring/dynaring/coordinator"

// rangeCommands are on parts of values, on values and their expiry, and on
// several.
func rangeCommands() []*row {
	return []*row{
		{
			name: "setex", arity: 4, flags: "write denyoom", cats: "@write @string @slow",
			first: 1, last: 1, step: 1, access: "OW update",
			group: "string", since: "2.0.0", complexity: "O(1)",
			summary: "Set the value and expiration of a key",
			args:    []argument{key("key"), integer("seconds"), str("value")},
			class:   coordinator.Blind, plan: planSetEX, write: writeSetEX, finish: finishOK,
		},
		{
			name: "psetex", arity: 4, flags: "write denyoom", cats: "@write @string @slow",
			first: 1, last: 1, step: 1, access: "OW update",
			group: "string", since: "2.6.0", complexity: "O(1)",
			summary: "Set the value and expiration in milliseconds of a key",
			args:    []argument{key("key"), integer("milliseconds"), str("value")},
			class:   coordinator.Blind, plan: planSetEX, write: writeSetEX, finish: finishOK,
		},
		{
			name: "getex", arity: -2, flags: "write fast", cats: "@write @string @fast",
			first: 1, last: 1, step: 1, access: "RW access update",
			note:  "RW and UPDATE because it changes the TTL",
			group: "string", since: "6.2.0", complexity: "O(1)",
			summary: "Get the value of a key and optionally set its expiration",
			args:    []argument{key("key"), oneOf("expiration", integer("seconds").after("EX"), integer("milliseconds").after("PX"), unixTime("unix-time-seconds").after("EXAT"), unixTime("unix-time-milliseconds").after("PXAT"), word("persist", "PERSIST")).opt()},
			class:   coordinator.RMW, plan: planGetEX, write: writeGetEX, finish: finishOld,
		},
		{
			name: "msetnx", arity: -3, flags: "write denyoom", cats: "@write @string @slow",
			first: 1, last: -1, step: 2, access: "OW insert",
			tips:  "request_policy:multi_shard response_policy:agg_min",
			group: "string", since: "1.0.1", complexity: "O(N) where N is the number of keys to set.",
			summary: "Set multiple keys to multiple values, only if none of the keys exist",
			args:    []argument{block("key_value", key("key"), str("value")).many()},
			exec:    msetNX,
		},
		{
			name: "getrange", arity: 4, flags: "readonly", cats: "@read @string @slow",
			first: 1, last: 1, step: 1, access: "RO access",
			group: "string", since: "2.4.0", complexity: "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings.",
			summary: "Get a substring of the string stored at a key",
			args:    []argument{key("key"), integer("start"), integer("end")},
			read:    getRange,
		},
		{
			name: "substr", arity: 4, flags: "readonly", cats: "@read @string @slow",
			first: 1, last: 1, step: 1, access: "RO access",
			group: "string", since: "1.0.0", complexity: "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings.",
			summary:    "Get a substring of the string stored at a key",
			deprecated: &deprecation{"2.0.0", "`GETRANGE`"},
			args:       []argument{key("key"), integer("start"), integer("end")},
			read:       getRange,
		},
		{
			name: "setrange", arity: 4, flags: "write denyoom", cats: "@write @string @slow",
			first: 1, last: 1, step: 1, access: "RW update",
			group: "string", since: "2.2.0", complexity: "O(1), not counting the time taken to copy the new string in place. Usually, this string is very small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length of the value argument.",
			summary: "Overwrite part of a string at key starting at the specified offset",
			args:    []argument{key("key"), integer("offset"), str("value")},
			class:   coordinator.RMW, plan: planSetRange, write: writeSetRange, finish: finishInt,
		},
		{
			name: "incrbyfloat", arity: 3, flags: "write denyoom fast", cats: "@write @string @fast",
			first: 1, last: 1, step: 1, access: "RW access update",
			group: "string", since: "2.6.0", complexity: "O(1)",
			summary: "Increment the float value of a key by the given amount",
			args:    []argument{key("key"), argument{name: "increment", typ: "double"}},
			class:   coordinator.RMW, write: writeIncrByFloat, finish: finishOld,
		},
		{
			name: "lcs", arity: -3, flags: "readonly", cats: "@read @string @slow",
			first: 1, last: 2, step: 1, access: "RO access",
			group: "string", since: "7.0.0", complexity: "O(N*M) where N and M are the lengths of s1 and s2, respectively",
			summary: "Find longest common substring",
			args:    []argument{key("key1"), key("key2"), word("len", "LEN").opt(), word("idx", "IDX").opt(), integer("len").after("MINMATCHLEN").opt(), word("withmatchlen", "WITHMATCHLEN").opt()},
			exec:    lcs,
		},
	}
}
