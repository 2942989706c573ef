// Whom a method admits: the one place where a call is authorised. The rule is what the method's proto declares;
// proto/allod/access/v1/access.proto says what each means. Pure.
#pragma once

#include <expected>
#include <string_view>

#include "services/common/result.h"
#include "services/common/rpc/caller.h"
#include "services/common/rpc/method.h"

namespace allod {

// The caller as it acts in this call, if the method admits it: what its methods are given. All but people are as they
// came. A person has the roles that hold at the tenant together with those at the project that is asked about; where
// those at the tenant do not permit the method, it acts in that one project, as a key of it would. What belongs to the
// tenant as a whole a person whose roles hold at projects only may ask for as a key of its one project may, with the
// roles at that one; PERMISSION_DENIED / PROJECT_NEEDED when there are several that would do. Beside that CheckAccess()
// says.
Result<Caller> Admit(const Method& method, Caller caller, std::string_view resource);

// `resource` is what the request has in the rule's field; empty where the rule names none. PERMISSION_DENIED /
// NOT_ALLOWED, with who may; NOT_FOUND / NOT_FOUND and PERMISSION_DENIED / PROJECT_KEY where a tenant's things are
// asked about; PERMISSION_DENIED / PERMISSION_MISSING where none of the caller's roles has the method's permission,
// with the roles that have it, and only about things that the caller may know of; INVALID_ARGUMENT / INVALID_NAME for
// what names no node where a node is to be named. A rule that says nothing admits nobody.
// Of a person nothing but `roles` and `project` is looked at.
Status CheckAccess(const Method& method, const Caller& caller, std::string_view resource);

// Whether a resource below a project may be shown to the caller, whom WHO_MEMBER let at the tenant. Lists do not ask
// it row by row: they read the rows of the caller's project only, so that page tokens tell of no others.
bool MaySee(const Caller& caller, std::string_view resource_name);

// NOT_FOUND / NOT_FOUND: what the caller may not see answers as what does not exist.
std::unexpected<Error> NoSuchResource();

}  // namespace allod
