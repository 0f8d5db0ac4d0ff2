package sim

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// answering starts a host that answers every connection with the given bytes,
// once it has read something; nil: hangs up.
func answering(t *testing.T, n *Network, answer []byte) (addr string, stop func()) {
	t.Helper()
	l, err := n.Host("n1", "127.0.0.1").Listen("127.0.0.1:6379")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.Read(make([]byte, 1000))
				if answer != nil {
					c.Write(answer)
					io.Copy(io.Discard, c)
				}
			}()
		}
	}()
	return "127.0.0.1:6379", func() {
		l.Close()
		time.Sleep(time.Second) // a bubble's time stands still once its test returns
	}
}

func TestClient(t *testing.T) {
	for _, tc := range []struct{ answer, want string }{
		{"+OK\r\n", "OK"},
		{"$3\r\na\r\n\r\n", "a\r\n"},
		{"$-1\r\n", "(nil)"},
		{":-12\r\n", "(integer) -12"},
		{"*3\r\n$0\r\n\r\n*0\r\n*-1\r\n", "[ [] (nil)]"},
		{"-NOQUORUM try again\r\n", "-NOQUORUM try again"},
		{"$5\r\nab", "no answer"}, // and then nothing
		{"?\r\n", "no answer"},
		{"$-7\r\n", "no answer"},
		{"", "no answer"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := NewNetwork(1)
			answer := []byte(tc.answer)
			if tc.answer == "" {
				answer = nil
			}
			addr, stop := answering(t, n, answer)
			defer stop()
			c := NewClient(n.Host("c1", "127.0.1.1"), addr, time.Second)
			defer c.Close()
			begin := time.Now()
			reply, err := c.Do("GET", "k")
			if got := FormatReply(reply, err); got != tc.want {
				t.Errorf("%q: got %q (%v), want %q", tc.answer, got, err, tc.want)
			}
			if tc.want == "no answer" && !errors.Is(err, ErrLost) {
				t.Errorf("%q: %v", tc.answer, err)
			}
			if took := time.Since(begin); took > time.Second {
				t.Errorf("%q: took %v", tc.answer, took)
			}
		})
	}
}

func TestClientThatCannotConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(1)
		n.Host("n1", "127.0.0.1")
		c := NewClient(n.Host("c1", "127.0.1.1"), "127.0.0.1:6379", time.Second)
		if _, err := c.Do("PING"); !errors.Is(err, ErrNotSent) {
			t.Errorf("refused: %v", err)
		}
		n.Cut("c1", "n1")
		begin := time.Now()
		if _, err := c.Do("PING"); !errors.Is(err, ErrNotSent) || time.Since(begin) != time.Second {
			t.Errorf("cut: %v after %v", err, time.Since(begin))
		}
	})
}
