// What the audit log says of tenancy's changes. What people type to name things may name people, and is erasable.
#pragma once

#include "services/common/audit/pg_log.h"
#include "services/tenancy/domain.h"
#include "services/tenancy/identity.h"
#include "services/tenancy/member.h"
#include "services/tenancy/role.h"
#include "services/tenancy/session.h"

namespace allod::tenancy {

audit::Act CreationOf(const Tenant& tenant);
// What of its content became another.
audit::Act ChangeOf(const Tenant& before, const Tenant& after);
// Of a suspension, with its reason, and of its end.
audit::Act StateOf(const Tenant& after);
audit::Act DeletionOf(const Tenant& after);
audit::Act UndeletionOf(const Tenant& after);
// Its grace is over, or nothing is left: "purging", "deleted".
audit::Act PurgeOf(const Tenant& after);
audit::Act CreationOf(const Project& project);
audit::Act ChangeOf(const Project& before, const Project& after);
audit::Act CreationOf(const ApiKey& key);
// Of the present key, which names its successor.
audit::Act RotationOf(const ApiKey& present, const ApiKey& successor);
audit::Act RevocationOf(const ApiKey& key);
// Of what told of a person: so many values, of entries about the member of that name, or of who came in by the
// provider.
audit::Act ErasureOf(const std::string& resource, std::int64_t values);
// What stands afterwards is the whole of it; of a client's secret, that it was set or cleared.
audit::Act CreationOf(const IdentityProvider& provider);
audit::Act ChangeOf(const IdentityProvider& before, const IdentityProvider& after);
// `verb` is "create" or "update": what stands afterwards is the whole of it.
audit::Act ActOn(std::string_view verb, const WorkloadRule& rule);
audit::Act ActOn(std::string_view verb, const Member& member);
audit::Act DeletionOf(const IdentityProvider& provider);
audit::Act DeletionOf(const WorkloadRule& rule);
audit::Act DeletionOf(const Member& member);
// What stands afterwards is the whole of it.
audit::Act ActOn(std::string_view verb, const TenantRole& role);
// And what it permitted before, if that is another.
audit::Act ChangeOf(const TenantRole& before, const TenantRole& after);
audit::Act DeletionOf(const TenantRole& role);
// Of a session for which `ended` older ones of the person had to end.
audit::Act BeginningOf(const Session& session, std::int64_t ended);
audit::Act EndingOf(const Session& session);
// Of all of a person's in the tenant.
audit::Act EndingOf(const std::string& tenant, const Person& person, int ended);

}  // namespace allod::tenancy
