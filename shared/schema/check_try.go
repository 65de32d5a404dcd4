package schema

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// trigger is one of the platform's own.
type trigger struct {
	Name       string
	Function   string
	Definition string
	Before     bool
	Row        bool
	Events     int16 // bits of pg_trigger.tgtype: 4 INSERT, 8 DELETE, 16 UPDATE
}

// bits of pg_trigger.tgtype
const (
	onInsert = 4
	onUpdate = 16
)

// triggers lists the platform's own; try sees what they do.
func (c *checker) triggers() error {
	all, err := c.ownTriggers()
	for _, t := range all {
		if t.Before && t.Row {
			c.note("trigger", t.Name, "fires before "+t.when()+"; what it does to trackstore's rows is tried", "")
		}
	}
	return err
}

func (t trigger) when() string {
	var events []string
	for name, bit := range map[string]int16{"INSERT": 4, "DELETE": 8, "UPDATE": 16} {
		if t.Events&bit != 0 {
			events = append(events, name)
		}
	}
	slices.Sort(events)
	return strings.Join(events, " and ")
}

func (c *checker) ownTriggers() ([]trigger, error) {
	rows, err := c.work.Query(c.ctx, `
		SELECT tgname, p.proname, pg_get_triggerdef(t.oid), tgtype & 2 <> 0, tgtype & 1 <> 0, tgtype & 28
		FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid
		WHERE tgrelid = $1::oid AND NOT tgisinternal AND tgenabled IN ('O', 'A')
			AND tgname NOT LIKE 'trackstore\_%' AND tgname <> 'tracks_raise_file_version'
		ORDER BY tgname`, c.table.OID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[trigger])
}

// blame names the platform's triggers that may have done something on an event (or, by its
// function, the one that did), each with a form that leaves trackstore's statements alone.
func (c *checker) blame(kind, did, function string, before bool, event int16) error {
	all, err := c.ownTriggers()
	if err != nil {
		return err
	}
	for _, t := range all {
		if function != "" && t.Function != function || function == "" && (t.Before != before || t.Events&event == 0) {
			continue
		}
		c.problem(kind, "trigger "+t.Name, did, c.lenient(t))
	}
	return nil
}

// lenient is the trigger with a condition by which trackstore's own statements pass.
func (c *checker) lenient(t trigger) string {
	const passes = "current_setting('trackstore.writer', true) IS DISTINCT FROM 'on'"
	definition := t.Definition
	if at := strings.Index(definition, " WHEN ("); at >= 0 {
		end := strings.LastIndex(definition, " EXECUTE FUNCTION ")
		definition = definition[:at] + " WHEN (" + passes + " AND " + definition[at+len(" WHEN ("):end] + definition[end:]
	} else {
		definition = strings.Replace(definition, " EXECUTE FUNCTION ", " WHEN ("+passes+") EXECUTE FUNCTION ", 1)
	}
	return fmt.Sprintf("DROP TRIGGER %s ON %s;\n%s;", ident(t.Name), c.tracks, definition)
}

// try inserts, flips and deletes as trackstore does.
func (c *checker) try() error {
	if c.table.Kind != "r" || c.refused() || !c.mayWrite() {
		return nil // what is wrong is said already, and everything else would fail for it
	}
	return c.trial(func(tx pgx.Tx) error {
		if _, err := tx.Exec(c.ctx, "SELECT set_config('trackstore.writer', 'on', true)"); err != nil {
			return err
		}
		if err := c.become(tx); err != nil {
			return err
		}
		const id = "ffffffff-0000-4000-8000-00000000000"
		for i, status := range statuses {
			if done, err := c.tryInsert(tx, id+fmt.Sprint(i), status); err != nil || !done {
				return err
			}
		}
		return c.tryFlips(tx, id+"0")
	})
}

// become goes on as the role, once it can have rights: what the platform's triggers touch, it
// may not.
func (c *checker) become(tx pgx.Tx) error {
	if !c.isUp() {
		return nil
	}
	_, err := c.attempt(tx, "SET LOCAL ROLE "+ident(c.role))
	if sqlState(err) == "42501" {
		c.note("not_tried", "role "+c.role, "could not be tried: the role that connects is no member of it, and tries as itself", "")
		return nil
	}
	return err
}

// tryInsert inserts a track. Columns that an insert cannot fill, and that are named already,
// get what some row has.
func (c *checker) tryInsert(tx pgx.Tx, id, status string) (done bool, err error) {
	columns := []string{"id", "creator_id", "title", "file_path"}
	values := []string{literal(id) + "::uuid", "coalesce(t.creator_id, " + cmp.Or(c.users, "gen_random_uuid()") + ")", literal("trackstore schema check " + id), "''"}
	if c.table.column("status") != nil && !c.has("enum", "column status") {
		columns, values = append(columns, "status"), append(values, literal(status))
	}
	for _, col := range c.table.columns {
		if c.has("not_null", "column "+col.Name) && !slices.Contains(columns, col.Name) {
			columns, values = append(columns, ident(col.Name)), append(values, "t."+ident(col.Name))
		}
	}
	n, err := c.attempt(tx, fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM (SELECT) AS one LEFT JOIN LATERAL (SELECT * FROM %s LIMIT 1) AS t ON true",
		c.tracks, strings.Join(columns, ", "), strings.Join(values, ", "), c.tracks))
	if err != nil {
		return false, c.explain("an insert", err, onInsert)
	}
	if n == 0 {
		return false, c.blame("trigger_vetoes", "swallows an insert, or another that fires before INSERT does: no new track comes into being (409 platform_refused)", "", true, onInsert)
	}
	return c.unchanged(tx, "insert", onInsert, id, map[string]string{"title": "trackstore schema check " + id, "file_path": "", "status": status})
}

// tryFlips moves a track to S3 and back with each format, and deletes it.
func (c *checker) tryFlips(tx pgx.Tx, id string) error {
	formats, types := formats()
	last := map[string]string{}
	step := func(what string, set map[string]string) (bool, error) {
		var pairs []string
		for _, name := range sortedKeys(set) {
			if c.table.column(name) == nil {
				delete(set, name)
				continue
			}
			value := literal(set[name])
			if set[name] == "" && name != "file_path" {
				value = "NULL"
			}
			pairs = append(pairs, name+" = "+value)
		}
		if len(pairs) == 0 {
			return true, nil
		}
		n, err := c.attempt(tx, fmt.Sprintf("UPDATE %s SET %s WHERE id = '%s'", c.tracks, strings.Join(pairs, ", "), id))
		if err != nil {
			return false, c.explain(what, err, onUpdate)
		}
		if n == 0 {
			return false, c.blame("trigger_vetoes", "swallows "+what+", or another that fires before UPDATE does", "", true, onUpdate)
		}
		last = set
		return c.unchanged(tx, what, onUpdate, id, last)
	}
	var key = samples()["storage_key"][0]
	for i, format := range append(formats, "") {
		set := map[string]string{
			"storage_backend": "s3", "storage_key": key, "file_size": "5497558138880", "content_type": types[min(i, len(types)-1)], "status": "ready",
			"file_version": fmt.Sprint(i + 2), "updated_at": "2001-02-03 04:05:06+00",
		}
		if format != "" {
			set["format"] = format
		}
		if ok, err := step("a flip to S3", set); err != nil || !ok {
			return err
		}
		if ok, err := step("a flip back", map[string]string{"storage_backend": "local", "storage_key": "", "file_path": fmt.Sprintf("restored/%s/%d.flac", id, i)}); err != nil || !ok {
			return err
		}
	}
	_, err := step("a deletion", map[string]string{"deleted_at": "2001-02-03 04:05:06+00"})
	return err
}

// unchanged looks whether the row says what was written.
func (c *checker) unchanged(tx pgx.Tx, what string, event int16, id string, want map[string]string) (bool, error) {
	var names, texts []string
	for _, name := range sortedKeys(want) {
		if c.table.column(name) == nil || name == "updated_at" || name == "deleted_at" || name == "status" && c.has("enum", "column status") {
			continue
		}
		names, texts = append(names, name), append(texts, "coalesce("+name+"::text, '')")
	}
	if len(names) == 0 {
		return true, nil
	}
	var got []string
	err := tx.QueryRow(c.ctx, fmt.Sprintf("SELECT ARRAY[%s] FROM %s WHERE id = '%s'", strings.Join(texts, ", "), c.tracks, id)).Scan(&got)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, c.blame("trigger_changes", "makes another row of what "+what+" writes, or another does", "", true, event)
	}
	if err != nil {
		return false, err
	}
	for i, name := range names {
		if got[i] != want[name] {
			return false, c.blame("trigger_changes", fmt.Sprintf("changes what %s writes, or another does: %s is %q and not %q", what, name, got[i], want[name]), "", true, event)
		}
	}
	return true, nil
}

var inFunction = regexp.MustCompile(`function (?:[^ .(]+\.)?"?([^ ."(]+)"?\(`)

// explain makes a finding of the error of a statement.
func (c *checker) explain(what string, err error, event int16) error {
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		return err
	}
	name := refusal.ConstraintName
	fix := fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s;", c.tracks, ident(name))
	function := ""
	if found := inFunction.FindStringSubmatch(refusal.Where); found != nil {
		function = found[1]
	}
	switch {
	case refusal.Code == lockNotAvailable, refusal.Code == "57014", refusal.Code == "40P01":
		c.note("not_tried", what, "could not be tried, for others hold the table: try again", "")
	case function != "" && refusal.Code == "42501":
		c.problem("trigger_rights", "function "+function, fmt.Sprintf("runs at %s as the role %s, which may not do what it does: %s", what, c.role, refusal.Message),
			fmt.Sprintf("ALTER FUNCTION %s() SECURITY DEFINER SET search_path = %s, pg_temp; -- or grant the role what it needs", ident(function), ident(c.table.Schema)))
	case function != "" && refusal.Code != "23503":
		return c.blame("trigger_vetoes", "refuses "+what+": "+refusal.Message, function, true, event)
	case refusal.Code == "23502" && refusal.ColumnName == "creator_id" && c.users != "":
		c.note("not_tried", what, "could not be tried, for there is no user whom a track could belong to", "insert a user, and check again")
	case refusal.Code == "23502":
		if object := "column " + refusal.ColumnName; !c.has("not_null", object) {
			c.problem("not_null", object, "is NULL after "+what+", and must not be", fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL;", c.tracks, ident(refusal.ColumnName)))
		}
	case refusal.Code == "23514" && (c.has("check", name) || refusal.DataTypeName != ""): // a domain's is named by values
	case refusal.Code == "23505" && (c.has("unique", name) || c.copied(name)):
	case refusal.Code == "23503":
		if !c.has("foreign_key", name) {
			c.problem("foreign_key", name, "refuses "+what+": "+refusal.Message, fix)
		}
	case refusal.Code == "42501": // named by access
	case refusal.Code == "55000" && strings.Contains(refusal.Message, "replica identity"):
		c.problem("replica_identity", c.tracks.String(), "is published, and has nothing by which a subscriber finds a row: "+refusal.Message,
			fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL; -- or USING INDEX, of a unique one over id", c.tracks))
	case name != "":
		c.problem(map[string]string{"23514": "check", "23505": "unique", "23P01": "exclusion"}[refusal.Code], name, "refuses "+what+": "+refusal.Message, fix)
	default:
		c.problem("refused", c.tracks.String(), fmt.Sprintf("refuses %s: %s (SQLSTATE %s)", what, refusal.Message, refusal.Code), "")
	}
	return nil
}

// copied reports whether a unique key is over a column whose value the trial took from
// another row.
func (c *checker) copied(index string) bool {
	var columns []string
	err := c.work.QueryRow(c.ctx, `
		SELECT ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1))`,
		ident(c.table.Schema)+"."+ident(index)).Scan(&columns)
	return err == nil && slices.ContainsFunc(columns, func(name string) bool { return c.has("not_null", "column "+name) })
}

func sortedKeys[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
