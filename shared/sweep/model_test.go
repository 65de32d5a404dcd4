package sweep_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// A model of two uploads of one track, by what the statements and the sweep do in one step each:
// the look at the bytes, settling, expiring, the last look, the mark, the look at the mark, the
// removal. Between any two of them anything else may happen, and any time pass.

const modelGrace, modelLife = 100, 20

type modelState int

const (
	modelUnopened modelState = iota
	modelPending
	modelExpired
	modelStored
	modelAborted
)

type modelUpload struct {
	state             modelState
	opened, landed    int // when; 0: not yet
	bytes             bool
	noted, markedOnce int  // when; 0: there is no note, or no mark on it
	gone              bool // by the note
}

// rule is one of those that keep bytes, for taking it away.
type rule int

const (
	noRule        rule = iota
	lateIsStored       // an expired upload is settled
	markExcludes       // a marked note keeps an upload expired
	lastLook           // the sweep looks once more before it marks
	newestWins         // settling compares the tickets
	abortIsForAll      // an aborted upload is not settled, also one that was expired
)

type model struct {
	*rand.Rand
	without rule
	now     int
	uploads [2]modelUpload
	row     int // 1 + the upload that the track has; 0: none
	running []func() func()
	fault   string
}

func (m *model) has(r rule) bool { return m.without != r }

// settle is settle_uploads for one upload whose bytes were seen.
func (m *model) settle(i int) {
	u := &m.uploads[i]
	switch {
	case u.state == modelAborted && m.has(abortIsForAll), u.state == modelUnopened, u.state == modelStored:
		return
	case u.state == modelExpired && (!m.has(lateIsStored) || u.markedOnce != 0 && m.has(markExcludes) || m.row > i+1 && m.has(newestWins)):
		return
	}
	u.state = modelStored
	if m.row > i+1 && m.has(newestWins) {
		u.noted = m.now // its bytes go after a grace
		return
	}
	if m.row != 0 {
		m.uploads[m.row-1].noted = m.now
	}
	m.row, u.noted, u.markedOnce = i+1, 0, 0
}

// confirm looks at the bytes, and settles later.
func (m *model) confirm(i int) func() func() {
	return func() func() {
		if !m.uploads[i].bytes {
			return nil
		}
		return func() { m.settle(i) }
	}
}

// begin has a process of several steps go on, now and then.
func (m *model) begin(step func() func()) { m.running = append(m.running, step) }

// sweep begins what a sweep does about one upload: each part of it is a process of its own.
func (m *model) sweep(i int) {
	m.begin(func() func() { // settleUploads, settleLate
		saw := m.uploads[i].bytes
		return func() {
			u := &m.uploads[i]
			switch {
			case saw:
				m.settle(i)
			case u.state == modelPending && m.now >= u.opened+modelLife:
				u.state, u.noted = modelExpired, m.now
			}
		}
	})
	m.begin(func() func() { // sweepDiscards
		u := &m.uploads[i]
		note := u.noted
		if note == 0 || u.gone || m.now < note+modelGrace {
			return nil
		}
		saw := u.bytes && u.state == modelExpired && m.has(lastLook)
		return func() {
			if saw {
				m.settle(i)
				return
			}
			m.begin(func() func() {
				// mark_discards: the note is as it was, and nothing names the bytes.
				if u.noted != note || m.row == i+1 && m.has(markExcludes) {
					return nil
				}
				u.markedOnce = m.now
				return func() {
					if u.noted != note || u.markedOnce == 0 || u.gone { // may_go
						return
					}
					u.bytes, u.gone = false, true
				}
			})
		}
	})
}

// check tells what must never be.
func (m *model) check() {
	if m.row != 0 && !m.uploads[m.row-1].bytes && m.fault == "" {
		m.fault = fmt.Sprintf("at %d the row names bytes that are gone: %+v", m.now, m.uploads)
	}
}

// run plays a random schedule: how old a URL is when its transfer begins and how long that takes,
// how late the event is, sweeps, an abort, a second file.
func (m *model) run() {
	aborts := m.IntN(4) == 0
	at := make(map[int][]func())
	plan := func(when int, what func()) { at[when] = append(at[when], what) }
	last := 0
	for i := range 1 + m.IntN(2) {
		open := 1 + i*m.IntN(150)
		lands := open + m.IntN(modelLife) + []int{0, m.IntN(modelLife), m.IntN(160), modelGrace + modelLife - m.IntN(4)}[m.IntN(4)]
		plan(open, func() { m.uploads[i].state, m.uploads[i].opened = modelPending, m.now })
		plan(lands, func() { m.uploads[i].landed, m.uploads[i].bytes = m.now, !m.uploads[i].gone })
		if m.IntN(3) > 0 { // else its event is lost
			plan(lands+m.IntN(150), func() { m.begin(m.confirm(i)) })
		}
		if aborts && i == 0 {
			plan(open+m.IntN(200), func() {
				if u := &m.uploads[i]; u.state == modelPending || u.state == modelExpired {
					if u.state = modelAborted; u.noted == 0 {
						u.noted = m.now
					}
				}
			})
		}
		last = max(last, lands+200)
	}
	for range 2 + m.IntN(8) {
		plan(1+m.IntN(last), func() { m.sweep(0); m.sweep(1) })
	}
	for m.now = 1; m.now < last+2*modelGrace || len(m.running) > 0; m.now++ {
		for _, what := range at[m.now] {
			what()
		}
		if m.now >= last && m.now%25 == 0 && m.now < last+2*modelGrace { // in the end the schedule holds
			m.sweep(0)
			m.sweep(1)
		}
		for len(m.running) > 0 && m.IntN(3) > 0 {
			i := m.IntN(len(m.running))
			step := m.running[i]
			m.running = append(m.running[:i], m.running[i+1:]...)
			if then := step(); then != nil {
				m.begin(func() func() { then(); return nil })
			}
			m.check()
		}
	}
	for i, u := range m.uploads {
		inTime := u.landed != 0 && (u.noted == 0 || u.state == modelStored || u.landed < u.noted+modelGrace)
		overtaken := m.row > i+1
		switch {
		case m.fault != "":
		case u.state == modelAborted && m.row == i+1, m.row != 0 && m.row < i+1 && u.state == modelStored:
			m.fault = fmt.Sprintf("stale bytes won: row %d, %+v", m.row, m.uploads)
		case u.state == modelExpired && inTime && !overtaken && u.landed < u.noted+modelGrace:
			m.fault = fmt.Sprintf("bytes of upload %d were lost: row %d, %+v", i, m.row, m.uploads)
		}
	}
}

// No byte that the storage took is lost, and nothing stale wins; without any one of the rules,
// one is, or does.
func TestSchedulesInTheModel(t *testing.T) {
	t.Parallel()
	play := func(without rule, schedules uint64) (fault string, seed uint64) {
		for seed := range schedules {
			m := &model{Rand: rand.New(rand.NewPCG(seed, 0)), without: without}
			if m.run(); m.fault != "" {
				return m.fault, seed
			}
		}
		return "", 0
	}
	if fault, seed := play(noRule, 10_000); fault != "" {
		t.Errorf("schedule %d: %s", seed, fault)
	}
	for name, without := range map[string]rule{
		"late is stored": lateIsStored, "a mark excludes": markExcludes, "a last look": lastLook, "the newest wins": newestWins,
		"aborted is for good": abortIsForAll,
	} {
		if fault, _ := play(without, 10_000); fault == "" {
			t.Errorf("without the rule %q nothing was lost in 10,000 schedules", name)
		}
	}
}
