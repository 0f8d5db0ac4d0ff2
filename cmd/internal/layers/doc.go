// Package layers holds no code: its test fails where the shape of the house is
// left. It checks that imports point down only, that the pure packages stay
// pure, that every package says what it is for, and that files stay readable.
//
// ARCHITECTURE.md draws the layers that the test knows.
package layers
