//go:build race

package blackbox

// raceEnabled makes the processes under test watch for races too.
const raceEnabled = true
