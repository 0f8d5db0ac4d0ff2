package replica

import (
	"bytes"

	"github.com/dynaring/dynaring/replica/peer"
)

// answers stands in for peers' requests: it collects how they are answered.
type answers struct{ ch chan answered }

type answered struct {
	body []byte
	code peer.Code
	err  string
}

func newAnswers() answers { return answers{make(chan answered, 1)} }

func (a answers) Reply(body []byte) { a.ch <- answered{body: bytes.Clone(body)} }

func (a answers) Fail(code peer.Code, text string) { a.ch <- answered{code: code, err: text} }
