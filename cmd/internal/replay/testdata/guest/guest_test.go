// Package guest is what the replayer's own tests run: everything in Go that
// differs from run to run.
package guest

import (
	"bytes"
	crypto "crypto/rand"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestDraw writes to /history what it was given.
func TestDraw(t *testing.T) {
	begin := time.Now()
	time.Sleep(time.Hour)
	var got bytes.Buffer
	numbers := map[int]bool{}
	for i := range 20 {
		numbers[i] = true
	}
	fmt.Fprintln(&got, "map", slices.Collect(maps.Keys(numbers)))
	fmt.Fprintln(&got, "select", selected(20))
	fmt.Fprintln(&got, "turns", turns(20))
	fmt.Fprintln(&got, "rand", rand.Uint64(), crypto.Text())
	fmt.Fprintln(&got, "time", begin.UnixNano(), time.Since(begin))
	fmt.Fprintln(&got, "environment", os.Environ())
	if err := os.WriteFile("/history", got.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func selected(n int) (chosen []int) {
	a, b := make(chan int, n), make(chan int, n)
	for range n {
		a <- 1
		b <- 2
	}
	for range n {
		select {
		case i := <-a:
			chosen = append(chosen, i)
		case i := <-b:
			chosen = append(chosen, i)
		}
	}
	return chosen
}

func turns(n int) (order []int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			time.Sleep(time.Duration(rand.IntN(3)) * time.Second)
			mu.Lock()
			defer mu.Unlock()
			order = append(order, i)
		})
	}
	all.Wait()
	return order
}

// TestStuck waits for what never comes, and is ended by a timer.
func TestStuck(t *testing.T) {
	time.AfterFunc(24*time.Hour, func() { panic("stuck") })
	<-make(chan int)
}
