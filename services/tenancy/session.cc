#include "services/tenancy/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "services/common/text_check.h"

namespace allod::tenancy {
namespace {

constexpr std::size_t kSubjectBytesMax = 255;
constexpr std::size_t kSessionMembersMax = 32;
constexpr std::size_t kNameCharsMax = 128;
constexpr std::size_t kUserAgentCharsMax = 256;
constexpr std::size_t kAddressCharsMax = 64;

// What strangers wrote, as one line of at most so many characters. Nothing of what is no UTF-8.
std::string OneLine(std::string_view text, std::size_t chars_max) {
  if (!IsUtf8(text)) return "";
  std::string out;
  std::size_t chars = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0) != 0x80 && ++chars > chars_max) break;
    // U+0080 to U+009F are controls as well.
    const bool is_c1 = byte == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (is_c1) ++i;
    out.push_back(byte < 0x20 || byte == 0x7f || is_c1 ? ' ' : text[i]);
  }
  return out;
}

}  // namespace

Status CheckSubject(std::string_view field, std::string_view subject) {
  if (subject.size() <= kSubjectBytesMax && CheckText(field, subject, 1, kSubjectBytesMax)) return {};
  return InvalidArgument("INVALID_SUBJECT",
                         fmt::format("{}: what the identity provider calls the person (\"sub\") has 1 to {} bytes on "
                                     "one line",
                                     field, kSubjectBytesMax));
}

Result<Session> ValidSession(Session session) {
  ALLOD_CHECK_OK(CheckSubject("session.subject", session.person.subject));
  std::ranges::sort(session.members);
  if (session.members.empty() || session.members.size() > kSessionMembersMax ||
      std::ranges::adjacent_find(session.members) != session.members.end()) {
    return InvalidArgument("INVALID_MEMBER",
                           fmt::format("session.members: name 1 to {}, each once", kSessionMembersMax));
  }
  session.display_name = OneLine(session.display_name, kNameCharsMax);
  session.user_agent = OneLine(session.user_agent, kUserAgentCharsMax);
  ALLOD_CHECK_OK(CheckText("session.client_address", session.client_address, 0, kAddressCharsMax));
  if (session.expire_time <= session.create_time || session.expire_time > session.create_time + kSessionMax) {
    return InvalidArgument(
        "INVALID_EXPIRE_TIME",
        fmt::format("session.expire_time: it is later than now, and {} h later at most", kSessionMax.count()));
  }
  return session;
}

Result<Session> Admitted(Session session, const IdentityProvider& provider, const std::vector<Member>& members) {
  if (provider.disabled || !provider.sign_in) return std::unexpected(NoSignIn(provider));
  std::erase_if(session.members, [&](const std::string& id) {
    const auto member = std::ranges::find(members, id, &Member::id);
    return member == members.end() || member->disabled || member->provider != provider.id;
  });
  if (!session.members.empty()) return session;
  return Fail(Code::kPermissionDenied, "NO_SUCH_MEMBER",
              fmt::format("none of the members that were named is an enabled one of {} any more; sign in again, or ask "
                          "an owner of the tenant",
                          provider.name()));
}

Status RoomForSession(const Session& session, const SessionCounts& others) {
  if (others.unexpired_of_person >= kUnexpiredSessionsPerPersonMax) {
    return Fail(
        Code::kResourceExhausted, "TOO_MANY_SESSIONS",
        fmt::format("you have {} sessions that have not expired, with those that were ended, and a person may have {}; "
                    "use one that holds, or wait until some expire",
                    others.unexpired_of_person, kUnexpiredSessionsPerPersonMax));
  }
  if (others.live < kSessionsPerTenantMax && others.unexpired < kUnexpiredSessionsPerTenantMax) return {};
  return Fail(
      Code::kResourceExhausted, "TOO_MANY_SESSIONS",
      fmt::format("tenants/{} has {} sessions that hold, and {} with those that were ended and had not expired; "
                  "it may have {} and {}: end some, or wait until some expire",
                  session.tenant, others.live, others.unexpired, kSessionsPerTenantMax,
                  kUnexpiredSessionsPerTenantMax));
}

Error TokenReplayed() {
  return {Code::kUnauthenticated, "TOKEN_REPLAYED",
          "a session was begun by this ID token before, and each begins one only; sign in again"};
}

Error TenantSuspended(const std::string& tenant) {
  return {Code::kFailedPrecondition, "TENANT_SUSPENDED", fmt::format("tenants/{} is suspended", tenant)};
}

}  // namespace allod::tenancy
