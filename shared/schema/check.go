package schema

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Level says what a finding means.
type Level string

const (
	// Problem means that something would fail.
	Problem Level = "problem"
	// Note means that there is something to know.
	Note Level = "note"
)

// Finding is one thing that Check found.
type Finding struct {
	Level  Level  `json:"level"`
	Kind   string `json:"kind"`   // a stable word: not_null, check, enum, trigger, …
	Object string `json:"object"` // the column, constraint, trigger, role or table that it is about
	Detail string `json:"detail"` // what would fail, or what there is to know
	Fix    string `json:"fix,omitempty"`

	refuses bool // Up does not begin
}

func (f Finding) String() string { return f.Object + " " + f.Detail }

// Refusal is the error of Up over a table that it cannot work with. Nothing was changed.
type Refusal struct {
	Tracks   string // the table, as SQL writes it
	Findings []Finding
}

func (r *Refusal) Error() string {
	lines := []string{"nothing was changed, for the table " + r.Tracks + " cannot do as it is:"}
	for _, f := range r.Findings {
		lines = append(lines, f.String(), "  mend: "+strings.ReplaceAll(f.Fix, "\n", "\n        "))
	}
	return strings.Join(lines, "\n")
}

// Check says, with nothing changed, what of a platform's table would not work for the role
// (empty: the one that connects), and what to do about it. It tries in transactions that it
// rolls back, and that wait for nobody's lock for longer than a second: the one trace that
// they leave is a gap in the table's sequences. It works before and after Up.
func Check(ctx context.Context, db Database, role string) ([]Finding, error) {
	return inspect(ctx, db, role, func(c *checker) error {
		if err := c.refusals(); err != nil || c.table == nil {
			return err
		}
		for _, step := range []func() error{
			c.columnsInTheWay, c.values, c.checks, c.keys, c.triggers, c.eventTriggers, c.searchPath, c.access, c.rows, c.replication, c.try,
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
}

// Doubts says, of what Check says, that by which the platform's tracks are not seen at all,
// though nothing fails: another table, hidden rows, deleted ones. It reads little.
func Doubts(ctx context.Context, db Database) ([]Finding, error) {
	return inspect(ctx, db, "", func(c *checker) error {
		if err := c.anotherTable(); err != nil || c.table == nil {
			return err
		}
		if err := c.security(); err != nil {
			return err
		}
		return c.deleted()
	})
}

func inspect(ctx context.Context, db Database, role string, look func(*checker) error) ([]Finding, error) {
	s, err := connect(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("schema check: %w", err)
	}
	defer s.Close() //nolint:errcheck // nothing was written
	c := &checker{session: s, role: role}
	if err = c.begin(); err == nil {
		err = look(c)
	}
	if err != nil {
		return nil, fmt.Errorf("schema check: %w", err)
	}
	return c.found, nil
}

// checker looks at one table.
type checker struct {
	*session
	role    string
	version uint   // of the schema
	begun   bool   // an Up has begun, and may have been cut short
	table   *table // nil: there is none
	found   []Finding
	renamed []string // columns that are to have another name
	users   string   // the subselect of a user whom creator_id may name; empty: anybody
}

func (c *checker) begin() error {
	version, _, err := c.Version()
	if sqlState(err) == "42501" { // no function's role may read the history, which is of a schema that came up
		version, err = adopted, nil
	}
	if err != nil {
		return err
	}
	c.version = uint(max(version, 0))
	if err := c.work.QueryRow(c.ctx, "SELECT to_regclass('trackstore_adoption') IS NOT NULL").Scan(&c.begun); err != nil {
		return err
	}
	if c.role == "" {
		if err := c.work.QueryRow(c.ctx, "SELECT current_user::text").Scan(&c.role); err != nil {
			return err
		}
	}
	var known bool
	if err := c.work.QueryRow(c.ctx, "SELECT to_regrole(quote_ident($1)) IS NOT NULL", c.role).Scan(&known); err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("there is no role %s", c.role)
	}
	c.table, err = c.readTable()
	return err
}

// isUp reports whether the table has trackstore's columns.
func (c *checker) isUp() bool { return c.version >= adopted }

// adopted is the version from which on the platform's table has all of trackstore's columns.
const adopted = 986

func (c *checker) problem(kind, object, detail, fix string) {
	c.found = append(c.found, Finding{Level: Problem, Kind: kind, Object: object, Detail: detail, Fix: fix})
}

// refuse is a problem that keeps Up from beginning.
func (c *checker) refuse(kind, object, detail, fix string) {
	c.found = append(c.found, Finding{Level: Problem, Kind: kind, Object: object, Detail: detail, Fix: fix, refuses: true})
}

func (c *checker) note(kind, object, detail, fix string) {
	c.found = append(c.found, Finding{Level: Note, Kind: kind, Object: object, Detail: detail, Fix: fix})
}

// has reports whether there is a finding of a kind about an object already.
func (c *checker) has(kind, object string) bool {
	for _, f := range c.found {
		if f.Kind == kind && f.Object == object {
			return true
		}
	}
	return false
}

// refused reports whether Up would not begin.
func (c *checker) refused() bool {
	return slices.ContainsFunc(c.found, func(f Finding) bool { return f.refuses })
}

// refusals looks for all that keeps Up from beginning.
func (c *checker) refusals() error {
	if err := c.anotherTable(); err != nil || c.table == nil {
		return err
	}
	for _, step := range []func() error{c.kindOfTable, c.neededColumns, c.ownNames, c.ownership} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// prepare refuses a table that Up cannot work with; from is the version that it begins at.
func (s *session) prepare(from uint) error {
	c := &checker{session: s}
	if err := c.begin(); err != nil {
		return err
	}
	c.version = from
	if err := c.refusals(); err != nil {
		return err
	}
	var refusal Refusal
	for _, f := range c.found {
		if f.refuses {
			refusal.Findings = append(refusal.Findings, f)
		}
	}
	if len(refusal.Findings) == 0 {
		return nil
	}
	refusal.Tracks = s.tracks.String()
	return &refusal
}

// checkSameTable refuses to call a schema complete that was brought up over another table.
func (s *session) checkSameTable() error {
	_, err := s.work.Exec(s.ctx, "SELECT storage_backend FROM "+s.tracks.String()+" LIMIT 0")
	switch sqlState(err) {
	case undefinedTable, undefinedColumn, "3F000":
		return fmt.Errorf("the schema is up, but not over the table %s: TRACKS_TABLE names another one than it did at the first schema up; "+
			"take the schema down with the former name first (trackstore schema down --all)", s.tracks)
	}
	return err
}

// trial runs f in a transaction that is rolled back.
func (c *checker) trial(f func(tx pgx.Tx) error) error {
	tx, err := c.work.Begin(c.ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(c.ctx)) }() // at the latest when the connection goes
	if _, err := tx.Exec(c.ctx, "SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = '20s'"); err != nil {
		return err
	}
	return f(tx)
}

// attempt runs one statement in tx, and returns its error with the transaction as it was
// before. It keeps what the statement did where that went well.
func (c *checker) attempt(tx pgx.Tx, sql string, args ...any) (int64, error) {
	inner, err := tx.Begin(c.ctx)
	if err != nil {
		return 0, err
	}
	tag, err := inner.Exec(c.ctx, sql, args...)
	if err == nil {
		_, err = inner.Exec(c.ctx, "SET CONSTRAINTS ALL IMMEDIATE") // deferred ones would fail at the end
	}
	if err != nil {
		return 0, errors.Join(err, inner.Rollback(c.ctx))
	}
	return tag.RowsAffected(), inner.Commit(c.ctx)
}

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func literals(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = literal(s)
	}
	return strings.Join(quoted, ", ")
}

func ident(name string) string { return pgx.Identifier{name}.Sanitize() }
