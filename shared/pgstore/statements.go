package pgstore

import (
	"context"
	"embed"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// A statement is a file of its own, sql/NAME.sql, beneath the comment that says what it does
// and why. What several statements share is a part, sql/parts/NAME.sql, and stands in them as
// {{NAME}}. The platform's table is {{tracks}}, in every statement and always with an alias
// ({{tracks}} t), for it may have another name, or be in another schema.
//
//go:embed sql/*.sql sql/parts/*.sql
var sqlFiles embed.FS

// statements are the texts of all statements, for one platform's table. Each is put together when it is first asked for:
// a function needs few of them, and what it does at its start is paid at every cold start.
type statements struct {
	tracks string // the table, as SQL writes it
	ready  sync.Map
}

// text returns the statement of sql/NAME.sql, ready for the server. It panics where that, or a part that it names, is not
// there: that is a fault of this package, which TestEveryStatementIsThereAndUsed finds.
func (s *statements) text(name string) string {
	if text, known := s.ready.Load(name); known {
		return text.(string)
	}
	text := s.read("sql/" + name + ".sql")
	s.ready.Store(name, text)
	return text
}

// read returns the text of a file with its parts, and the parts of these, in their places.
func (s *statements) read(file string) string {
	text, whole := withoutComments(file), strings.Builder{}
	for {
		before, rest, found := strings.Cut(text, "{{")
		whole.WriteString(before)
		if !found {
			return whole.String()
		}
		name, after, _ := strings.Cut(rest, "}}")
		if name == "tracks" {
			whole.WriteString(s.tracks)
		} else {
			whole.WriteString(s.read("sql/parts/" + name + ".sql"))
		}
		text = after
	}
}

// withoutComments returns the text of a file. Lines that are nothing but a comment are for readers, and are not sent.
func withoutComments(file string) string {
	text, err := sqlFiles.ReadFile(file)
	if err != nil {
		panic(fmt.Sprintf("pgstore: %v", err))
	}
	var lines strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			lines.WriteString(line)
		}
	}
	return strings.TrimSpace(lines.String())
}

// sql returns the statement of sql/NAME.sql.
func (s *Store) sql(name string) string { return s.statements.text(name) }

// limited puts a limit into a statement. It is part of the text, for the planner takes a parameter to be a tenth of the
// table, and then rather reads the whole of it than walk an index.
func limited(sql string, limit int) string {
	return strings.ReplaceAll(sql, "$limit", strconv.Itoa(limit))
}

// querier runs a statement: the pool, each in a transaction of its own, or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
}

// change runs f, which runs one statement, and tries again what retry does. A dry run is the
// same statement in a transaction that is rolled back.
func (s *Store) change(ctx context.Context, dryRun bool, f func(querier) error) error {
	return retry(ctx, func() error {
		if !dryRun {
			return f(s.pool)
		}
		tx, err := s.pool.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // at the latest when the connection goes
		return f(tx)
	})
}
