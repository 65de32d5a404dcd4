// Package track holds the words that the whole of trackstore shares: what a
// track, an upload and a stored object are, which states they pass through, how
// object keys are formed, and the errors that stores answer with.
//
// It imports the standard library only, so that every other package may import it.
package track
