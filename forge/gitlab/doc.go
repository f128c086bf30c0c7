// Package gitlab speaks to GitLab, the vendor's and one's own: it checks and reads webhooks, sets commit statuses and writes the one note on
// a merge request, by GitLab's Go client.
//
// Sources: https://docs.gitlab.com/user/project/integrations/webhook_events/, https://docs.gitlab.com/user/project/integrations/webhooks/,
// https://docs.gitlab.com/api/commits/#set-commit-pipeline-status, https://docs.gitlab.com/api/notes/#merge-requests.
package gitlab
