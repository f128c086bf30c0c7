package auth

import (
	"context"
	"fmt"
	"slices"

	"github.com/gantry-ops/gantry/store"
)

// setGrants makes grants an account's own and writes an event for each that it gets or loses. With byGroup it only touches those that
// groups of an OpenID Connect provider give; without, a grant that the account keeps stays what it was, by group or by hand.
func setGrants(ctx context.Context, tx *store.Tx, actor, account string, grants []Grant, byGroup bool) error {
	var rows []grantRow
	if err := tx.NewSelect().Model(&rows).Where("g.account = ?", account).Order("g.project", "g.role").Scan(ctx); err != nil {
		return fmt.Errorf("read grants: %w", err)
	}
	for _, r := range rows {
		g := Grant{Project: r.Project, Role: r.Role}
		if slices.Contains(grants, g) {
			grants = slices.DeleteFunc(slices.Clone(grants), func(o Grant) bool { return o == g })
			continue
		}
		if byGroup && !r.ByGroup {
			continue
		}
		if _, err := tx.NewDelete().Model(&r).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("take a grant: %w", err)
		}
		if err := appendGrant(tx, eventGrantTaken, actor, account, g, r.ByGroup); err != nil {
			return err
		}
	}
	for _, g := range grants {
		row := &grantRow{Account: account, Project: g.Project, Role: g.Role, ByGroup: byGroup}
		if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
			return fmt.Errorf("give a grant: %w", err)
		}
		if err := appendGrant(tx, eventGrantGiven, actor, account, g, byGroup); err != nil {
			return err
		}
	}
	return nil
}

// appendGrant writes the event of a grant, into the project's trail where it is for one.
func appendGrant(tx *store.Tx, what, actor, account string, g Grant, byGroup bool) error {
	e := store.Event{Type: what, Subject: account, Actor: actor}
	if g.Project != AllProjects {
		e.Project = g.Project
	}
	data := map[string]any{"project": g.Project, "role": g.Role}
	if byGroup {
		data["by_group"] = true
	}
	return tx.Append(e, data)
}

// RemoveProject takes back all grants on a project that is removed, so that they do not hold for a later one with the same ID. It is
// to be called in the transaction that removes the project.
func (s *Service) RemoveProject(ctx context.Context, tx *store.Tx, actor, project string) error {
	if project == AllProjects {
		return fmt.Errorf("take back grants: %q is not a project", project)
	}
	var rows []grantRow
	if err := tx.NewSelect().Model(&rows).Where("g.project = ?", project).Order("g.account", "g.role").Scan(ctx); err != nil {
		return fmt.Errorf("read grants: %w", err)
	}
	for _, r := range rows {
		if _, err := tx.NewDelete().Model(&r).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("take a grant: %w", err)
		}
		if err := appendGrant(tx, eventGrantTaken, actor, r.Account, Grant{Project: r.Project, Role: r.Role}, r.ByGroup); err != nil {
			return err
		}
	}
	return nil
}
