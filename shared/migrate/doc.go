// Package migrate moves tracks between local disk and S3: it claims some, copies their
// bytes, verifies the copies, and flips the rows. docs/protocol.md has the rules R1 to R6
// that keep every track's bytes whatever crashes, and whoever replaces or deletes a track
// meanwhile.
//
// [Run] drives the workers of one process; any number of processes share the tracks
// through the database. [Upload] and [Restore] are the two ways a track moves.
package migrate
