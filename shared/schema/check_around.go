package schema

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// eventTriggers looks whether some would stop Up, by changing the schema as Up does where there
// are any. Nobody waits for that longer than for the rest: it is rolled back at once.
func (c *checker) eventTriggers() error {
	if c.isUp() || c.refused() {
		return nil
	}
	rows, err := c.work.Query(c.ctx, `
		SELECT evtname::text FROM pg_event_trigger WHERE evtenabled IN ('O', 'A') AND evtevent <> 'login' ORDER BY evtname`)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) == 0 {
		return err
	}
	return c.trial(func(tx pgx.Tx) error {
		for _, sql := range []string{
			"CREATE TABLE trackstore_schema_check (id int)", "CREATE INDEX trackstore_schema_check_idx ON trackstore_schema_check (id)",
			"CREATE FUNCTION trackstore_schema_check() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
			fmt.Sprintf("ALTER TABLE %s ADD COLUMN trackstore_schema_check text", c.tracks),
			fmt.Sprintf("CREATE TRIGGER trackstore_schema_check BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION trackstore_schema_check()", c.tracks),
			fmt.Sprintf("DROP TRIGGER trackstore_schema_check ON %s", c.tracks), "DROP FUNCTION trackstore_schema_check()", "DROP TABLE trackstore_schema_check",
		} {
			_, err := c.attempt(tx, sql)
			var refusal *pgconn.PgError
			switch {
			case err == nil:
			case sqlState(err) == lockNotAvailable:
				c.note("not_tried", "schema up", "could not be tried, for others hold the table: try again", "")
				return nil
			case errors.As(err, &refusal):
				verb, _, _ := strings.Cut(sql, " trackstore")
				var off []string
				for _, name := range names {
					off = append(off, fmt.Sprintf("ALTER EVENT TRIGGER %s DISABLE; -- for schema up, and ENABLE after it", ident(name)))
				}
				c.problem("event_trigger", strings.Join(names, ", "), fmt.Sprintf("refuses what schema up does (%s): %s", verb, refusal.Message), strings.Join(off, "\n"))
				return nil
			default:
				return err
			}
		}
		c.note("event_trigger", strings.Join(names, ", "), "fires at schema up, and lets it pass", "")
		return nil
	})
}

// searchPath looks whether the role, once it connects, finds the tables that the role that
// connects now finds: each role, and each database, may have a search path of its own.
func (c *checker) searchPath() error {
	var path string
	err := c.work.QueryRow(c.ctx, `
		SELECT substr(setting, length('search_path=') + 1) FROM pg_roles r
		JOIN pg_db_role_setting s ON s.setrole IN (r.oid, 0) AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())),
		LATERAL unnest(s.setconfig) AS setting
		WHERE r.rolname = $1 AND r.rolname <> current_user AND setting LIKE 'search_path=%'
		ORDER BY setrole = 0, setdatabase = 0 LIMIT 1`, c.role).Scan(&path)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	var here, mine string
	var same bool
	err = c.trial(func(tx pgx.Tx) error {
		if err := tx.QueryRow(c.ctx, "SELECT coalesce(current_schema(), ''), current_setting('search_path')").Scan(&here, &mine); err != nil {
			return err
		}
		if _, err := tx.Exec(c.ctx, "SELECT set_config('search_path', $1, true)", strings.ReplaceAll(path, `"$user"`, ident(c.role))); err != nil {
			return err
		}
		return tx.QueryRow(c.ctx, "SELECT to_regclass($1)::oid IS NOT DISTINCT FROM $2::oid AND coalesce(current_schema(), '') = $3",
			c.tracks.String(), c.table.OID, here).Scan(&same)
	})
	if err == nil && !same {
		c.problem("search_path", "role "+c.role, fmt.Sprintf("has the search path %s, by which it finds other tables than %s and those of trackstore's in the schema %s", path, c.tracks, here),
			fmt.Sprintf("ALTER ROLE %s SET search_path = %s;", ident(c.role), mine))
	}
	return err
}
