// Command soak kills servers and looks whether anything was lost. It starts gantry as a process, asks for runs, ends the process with
// SIGKILL at random moments, starts it again, and in the end compares what the server acknowledged with what it has and with what the
// jobs themselves wrote down.
//
//	go run ./soak -gantry bin/gantry -rounds 200
//	go run ./soak -gantry bin/gantry -rounds 200 -db postgres://… -servers 2
//	go run ./soak -gantry bin/gantry -faults -db postgres://…
//	go run ./soak -gantry bin/gantry -releases -rounds 100
//	go run ./soak -gantry bin/gantry -ends -rounds 20
//	go run ./soak -gantry bin/gantry -withdrawals -rounds 20
//	go run ./soak -gantry bin/gantry -hostile
//
// It sees gantry from outside: the binary, its HTTP API, and nothing else. The seed is printed; with the same one the same moments are
// chosen, as far as the machine repeats itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

type options struct {
	gantry  string
	rounds  int
	servers int
	db      string
	seed    uint64
	// longest is how long a server lives at most between two kills.
	longest time.Duration
	// settle is how long the runs may take to end after the last kill.
	settle time.Duration
	keep   bool
	faults bool
	// releases, ends and withdrawals are other things to be tried, each o.rounds times; hostile is tried once.
	releases, ends, withdrawals, hostile bool
	// only is a part of the names of the faults, or of the bad versions, that are tried; empty: all.
	only string
	// place is where the servers' folders are; empty: in the world's. flags are given to them.
	place string
	flags []string
}

func main() {
	log.SetFlags(0)
	var o options
	flag.StringVar(&o.gantry, "gantry", "bin/gantry", "the binary")
	flag.IntVar(&o.rounds, "rounds", 100, "how many kills")
	flag.IntVar(&o.servers, "servers", 1, "how many servers share the database")
	flag.StringVar(&o.db, "db", "", "PostgreSQL's address; empty: SQLite in the server's folder")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "what the moments are chosen by")
	flag.DurationVar(&o.longest, "longest", 1500*time.Millisecond, "how long a server lives at most once it is ready")
	flag.DurationVar(&o.settle, "settle", 3*time.Minute, "how long the runs may take to end after the last kill")
	flag.BoolVar(&o.faults, "faults", false, "in place of kills: a full disk, a database that goes away, webhook storms, slow readers, a runner cut off")
	flag.BoolVar(&o.releases, "releases", false, "in place of kills: -rounds releases under load, with rollbacks, upgrades of the agent and kills of the server; nobody may notice")
	flag.BoolVar(&o.ends, "ends", false, "in place of kills: -rounds releases while the server, the agent and the workload are killed, alone and together; each has to come to an end")
	flag.BoolVar(&o.withdrawals, "withdrawals", false, "in place of kills: how long a bad version has traffic, -rounds times for each kind")
	flag.BoolVar(&o.hostile, "hostile", false, "in place of kills: versions that are bad in each way we know of; each has to be refused or withdrawn for a reason that says it")
	flag.StringVar(&o.only, "only", "", "with -faults and -hostile: only those whose names have this part")
	flag.BoolVar(&o.keep, "keep", false, "keep the folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	do := run
	switch {
	case o.faults:
		do = runFaults
	case o.releases:
		do = runReleases
	case o.ends:
		do = runEnds
	case o.withdrawals:
		do = runWithdrawals
	case o.hostile:
		do = runHostile
	}
	if err := do(ctx, o); err != nil {
		log.Fatalf("soak: %v", err)
	}
}

func run(ctx context.Context, o options) (err error) {
	if o.servers > 1 && o.db == "" {
		return errors.New("several servers need a PostgreSQL: give -db")
	}
	if o.gantry, err = filepath.Abs(o.gantry); err != nil {
		return err
	}
	if o.db != "" {
		var drop func() error
		if o.db, drop, err = freshSchema(ctx, o.db); err != nil {
			return err
		}
		defer func() {
			if e := drop(); err == nil {
				err = e
			}
		}()
	}
	dir, err := os.MkdirTemp("", "gantry-soak-")
	if err != nil {
		return err
	}
	w, err := newWorld(ctx, o, dir)
	if err != nil {
		return err
	}
	defer func() {
		w.stop()
		if o.keep || err != nil {
			log.Printf("the servers' folders and logs are in %s", dir)
			return
		}
		if e := os.RemoveAll(dir); err == nil {
			err = e
		}
	}()
	log.Printf("%d rounds, %d server(s), seed %d", o.rounds, o.servers, o.seed)
	started := time.Now()
	random := rand.New(rand.NewPCG(o.seed, 1))
	for round := 1; round <= o.rounds; round++ {
		if err := w.round(ctx, random); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if round%25 == 0 {
			log.Printf("%4d kills, %d runs acknowledged, %v", round, len(w.acknowledged), time.Since(started).Round(time.Second))
		}
	}
	found, err := w.settle(ctx)
	if err != nil {
		return err
	}
	log.Printf("%d kills; %d runs acknowledged, %d known; %d jobs ended, %d of them after more than one try; longest recovery %v",
		o.rounds, len(w.acknowledged), found.runs, found.jobs, found.retried, w.slowest.Round(time.Millisecond))
	for _, f := range found.faults {
		log.Printf("FAULT: %s", f)
	}
	if n := len(found.faults); n > 0 {
		return fmt.Errorf("%d faults (seed %d)", n, o.seed)
	}
	log.Printf("nothing was lost, nothing was done twice, nothing is left over")
	return nil
}
