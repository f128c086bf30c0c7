// Package bitbucket speaks to Bitbucket Cloud and to Bitbucket Data Center: it checks and reads webhooks, sets build statuses and writes the
// one comment on a pull request. Atlassian publishes no Go client, so the few requests are plain HTTP.
//
// Sources: https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/, https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/,
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/, https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pullrequests/;
// for Data Center https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html, https://developer.atlassian.com/server/bitbucket/rest/.
package bitbucket
