package pgstore

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A statement is a file of its own, sql/NAME.sql, beneath the comment that says what it does
// and why. What several statements share is a part, sql/parts/NAME.sql, and stands in them as
// {{NAME}}. The platform's table is {{tracks}}, in every statement and always with an alias
// ({{tracks}} t), for it may have another name, or be in another schema.
//
//go:embed sql/*.sql sql/parts/*.sql
var sqlFiles embed.FS

// statements are the texts of all statements by name, ready for the server.
type statements map[string]string

// inBraces is a part's name, or that of the platform's table, in a statement.
var inBraces = regexp.MustCompile(`\{\{(\w+)\}\}`)

// loadStatements reads all statements for a platform whose table is called tracks, as SQL
// writes it. It panics where a statement names a part that is not there: that is a fault of
// this package, which its tests find.
func loadStatements(tracks string) statements {
	parts := readSQL("sql/parts")
	parts["tracks"] = tracks
	all := readSQL("sql")
	for name, text := range all {
		for inBraces.MatchString(text) { // a part may be made of parts
			text = inBraces.ReplaceAllStringFunc(text, func(found string) string {
				part, known := parts[strings.Trim(found, "{}")]
				if !known {
					panic(fmt.Sprintf("pgstore: %s.sql: no part is called %s", name, found))
				}
				return part
			})
		}
		all[name] = text
	}
	return all
}

// readSQL returns the texts of the files in folder by their names without extension. Lines
// that are nothing but a comment are for readers, and are not sent.
func readSQL(folder string) map[string]string {
	files, err := fs.Glob(sqlFiles, folder+"/*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	texts := make(map[string]string, len(files))
	for _, file := range files {
		text, err := sqlFiles.ReadFile(file)
		if err != nil {
			panic(err) // it is part of the program
		}
		var lines []string
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(strings.TrimSpace(line), "--") {
				lines = append(lines, line)
			}
		}
		texts[strings.TrimSuffix(path.Base(file), ".sql")] = strings.TrimSpace(strings.Join(lines, ""))
	}
	return texts
}

// sql returns the statement of sql/NAME.sql.
func (s *Store) sql(name string) string {
	text, known := s.statements[name]
	if !known {
		panic("pgstore: no statement is called " + name) // found by TestEveryStatementIsThereAndUsed
	}
	return text
}

// querier runs a statement: the pool, each in a transaction of its own, or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
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
