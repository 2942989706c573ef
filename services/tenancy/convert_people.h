// Between the messages of allod.tenancy.v1 about members and sessions and the domain.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "allod/tenancy/v1/member.pb.h"
#include "allod/tenancy/v1/session.pb.h"
#include "services/tenancy/member.h"
#include "services/tenancy/session.h"

namespace allod::tenancy {

// As a user gave it, not checked yet (member.h does). INVALID_ARGUMENT / INVALID_NAME, INVALID_CLAIM, INVALID_GRANT,
// INVALID_ROLE for what the domain cannot say.
Result<Member> MemberFromRequest(const v1::CreateMemberRequest& request, Time now);
Result<Member> MemberFromRequest(const v1::UpdateMemberRequest& request);

struct MemberName {
  std::string tenant;
  std::string id;
};
Result<MemberName> MemberNameOf(std::string_view field, std::string_view name);

// As a gateway gave it, with an id, and checked (session.h). INVALID_ARGUMENT / INVALID_NAME, INVALID_CLIENT,
// INVALID_TIME, and those of ValidSession().
Result<Session> SessionFromRequest(const v1::BeginSessionRequest& request, Time now);
// Id of a session of `tenant`. INVALID_ARGUMENT / INVALID_NAME.
Result<Uuid> SessionIdOf(std::string_view field, std::string_view name, const std::string& tenant);
// Of `tenant`. INVALID_ARGUMENT / INVALID_NAME, INVALID_SUBJECT.
Result<Person> PersonFrom(std::string_view provider, std::string_view subject, const std::string& tenant);
// Of whom a list is to be; nothing: of everybody.
Result<std::optional<Person>> PersonOf(const v1::ListSessionsRequest& request, const std::string& tenant);

v1::Member ToProto(const Member& member);
v1::Session ToProto(const Session& session);

}  // namespace allod::tenancy
