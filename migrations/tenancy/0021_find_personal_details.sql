-- What the audit log says of one person is found by who that is, to be erased: entries about a member by their resource, those about
-- somebody who signed in by the subject.
CREATE INDEX audit_entries_about_people ON tenancy.audit_entries (tenant_id, resource) WHERE personal_details <> '{}';
CREATE INDEX audit_personal_by_subject ON tenancy.audit_personal (tenant_id, value) WHERE name = 'subject';
