package schema

import (
	"errors"
	"fmt"

	"github.com/golang-migrate/migrate/v4/database"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The history of golang-migrate, in a table of its own so that it lives beside a platform's.
const historyTable = "trackstore_schema_migrations"

// Version returns what the history says.
func (s *session) Version() (version int, dirty bool, err error) {
	err = s.work.QueryRow(s.ctx, "SELECT version, dirty FROM "+historyTable).Scan(&version, &dirty)
	if errors.Is(err, pgx.ErrNoRows) || sqlState(err) == undefinedTable {
		return database.NilVersion, false, nil
	}
	return version, dirty, err
}

// SetVersion writes the history. A crash leaves the version before, or this one.
func (s *session) SetVersion(version int, dirty bool) error {
	sql := "BEGIN; CREATE TABLE IF NOT EXISTS " + historyTable + " (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);" +
		"DELETE FROM " + historyTable + ";"
	if version >= 0 || dirty {
		sql += fmt.Sprintf("INSERT INTO %s VALUES (%d, %t);", historyTable, version, dirty)
	}
	_, err := s.work.Exec(s.ctx, sql+"COMMIT")
	return err
}

// forget takes the history away, once nothing is left that it tells of.
func (s *session) forget() error {
	_, err := s.work.Exec(s.ctx, "DROP TABLE IF EXISTS "+historyTable)
	return err
}

// settle looks what an earlier run left half-done. from is the version that the history
// tells of, at the one to begin with.
//
// "v, dirty" is the way up to v, or the way down to v from the next one. Each file may be
// run again, in part or whole: so going up both are settled by v's up migration, and going
// down both by the down migrations of the next one and of v itself.
func (s *session) settle(dir direction, all versions) (from, at uint, err error) {
	found, dirty, err := s.Version()
	if err != nil {
		return 0, 0, err
	}
	from = uint(max(found, 0))
	at = from
	switch {
	case dirty && !all.has(from):
		return 0, 0, fmt.Errorf("version %d was applied in part, by a newer program: run that one again", from)
	case dirty && dir == up:
		from = all.before(from)
		at = from
	case dirty:
		at = all.after(from)
	}
	if dir == up {
		err = s.dropInvalidIndexes()
	}
	return from, at, err
}

// historyVersion is what the history table is told for v.
func historyVersion(v uint) int {
	if v == 0 {
		return database.NilVersion
	}
	return int(v)
}

// dropInvalidIndexes removes what a CREATE INDEX CONCURRENTLY left that was cut short:
// such an index serves nobody, and IF NOT EXISTS would take it for done. Only this
// schema's indexes are looked at.
func (s *session) dropInvalidIndexes() error {
	rows, err := s.work.Query(s.ctx, `
		SELECT format('%I.%I', n.nspname, c.relname)
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE NOT i.indisvalid AND i.indrelid = to_regclass($1) AND c.relname ~ '^tracks_(storage_backend|trackstore)_'`,
		s.tracks.String())
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := s.work.Exec(s.ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+name); err != nil {
			return err
		}
	}
	return nil
}

func sqlState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}
