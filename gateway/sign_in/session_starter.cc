#include "gateway/sign_in/session_starter.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "gateway/sign_in/oidc.h"
#include "services/common/digest.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/timestamp.h"
#include "services/common/text_check.h"

namespace allod::gateway::sign_in {
namespace {

using std::chrono::seconds;

constexpr std::chrono::milliseconds kBeginTimeout{5000};
// Of an ID token that no nonce binds to an attempt.
constexpr std::chrono::minutes kIdTokenAgeMax{10};
constexpr std::size_t kUserAgentCharsMax = 256;
constexpr std::size_t kSubjectBytesMax = 255;
// As many as always fit into a token.
constexpr std::size_t kMembersAlwaysKept = 16;

std::unexpected<Error> NoSuchTrust() {
  return Fail(
      Code::kUnauthenticated, "NO_SUCH_TRUST",
      "nobody signs in here with this identity provider: there is none of this name, it is disabled, or it has no "
      "sign_in");
}

// By the person's own token alone: who the members are, and by which claims, is told to nobody who is none.
Error NotAMember(const federation::Provider& provider, const jose::Claims& claims, const std::string& tenant) {
  const std::string name = DisplayNameOf(claims);
  const std::string known = fmt::format("{} knows you{}", provider.display_name, name.empty() ? "" : " as " + name);
  if (claims.Text("email") && !claims.IsTrue("email_verified")) {
    return {Code::kPermissionDenied, "EMAIL_NOT_VERIFIED",
            fmt::format("{}, but does not say that your e-mail address was verified, so that it counts for nothing "
                        "here, and nothing else makes you a member of {}: have the address verified there and sign in "
                        "again, or ask an owner of {}",
                        known, tenant, tenant)};
  }
  return {Code::kPermissionDenied, "NOT_A_MEMBER",
          fmt::format("{}, but you are no member of {} here. Ask one of its owners to make you one, and give them what "
                      "you are called there: sub {}. If you belong to another tenant, sign in to that one: roles there "
                      "count for nothing here",
                      known, tenant, FindNoText(claims.subject()) ? "(not readable)" : claims.subject())};
}

// Those whose claims the person has.
std::vector<const federation::Member*> MembersOf(const federation::Trust& trust, const std::string& provider,
                                                 const jose::Claims& claims) {
  std::vector<const federation::Member*> out;
  for (const auto& [name, member] : trust.members) {
    const bool is_one = member.provider == provider && !member.disabled && federation::HasAll(member.claims, claims);
    if (is_one) out.push_back(&member);
  }
  return out;
}

// More members than fit are no reason to shut a person out, whoever made them: those that give no role that the others
// do not are left out then. The mightiest come first.
std::vector<const federation::Member*> ThatMatter(std::vector<const federation::Member*> members) {
  if (members.size() <= kMembersAlwaysKept) return members;
  const auto rank = [](const federation::Member* member) {
    int out = std::numeric_limits<int>::max();
    for (const Role role : member->roles.built_in().List()) out = std::min(out, static_cast<int>(role));
    return out;
  };
  std::ranges::stable_sort(members, {}, rank);
  Rights at_tenant;
  std::map<std::string, Rights> at_projects;
  std::vector<const federation::Member*> out;
  for (const federation::Member* member : members) {
    bool adds = !Covers(at_tenant, member->roles);
    for (const auto& [project, roles] : member->at_projects) {
      Rights there = at_projects[project];
      there.Add(at_tenant);
      adds = adds || !Covers(there, roles);
    }
    if (!adds) continue;
    at_tenant.Add(member->roles);
    for (const auto& [project, roles] : member->at_projects) at_projects[project].Add(roles);
    out.push_back(member);
  }
  return out;
}

}  // namespace

SessionStarter::SessionStarter(const std::shared_ptr<grpc::Channel>& tenancy, const federation::TrustTable& table,
                               federation::TokenVerifier& verifier, const SessionSealer& sealer, Refusals& refusals,
                               const Clock& clock, SessionTimes times)
    : stub_(tenancy::v1::SessionService::NewStub(tenancy)),
      table_(table),
      verifier_(verifier),
      sealer_(sealer),
      refusals_(refusals),
      clock_(clock),
      times_(times) {}

http::Awaitable<Result<SessionToken>> SessionStarter::Start(Request request, http::ResponseWriter& out) {
  std::string subject;
  Result<SessionToken> session = co_await Try(request, subject, out);
  if (!session) {
    const Refusals::Refusal refusal{request.provider, subject, request.address};
    refusals_.Tell(refusal, session.error(), out.trace());
  }
  co_return session;
}

http::Awaitable<Result<SessionToken>> SessionStarter::Try(const Request& request, std::string& subject,
                                                          http::ResponseWriter& out) {
  const std::string tenant = TenantOf(request.provider);
  const auto trust = table_.Find(tenant);
  if (!trust) co_return std::unexpected(trust.error());
  const federation::Provider* provider = *trust ? (*trust)->ProviderNamed(request.provider) : nullptr;
  if (provider == nullptr || provider->disabled || !provider->sign_in) co_return NoSuchTrust();
  const std::string& client_id = provider->sign_in->client_id;
  const auto token = jose::UnverifiedToken::Parse(request.id_token);
  if (!token) co_return std::unexpected(token.error());
  std::vector<std::string> audiences(1, client_id);
  const auto claims = co_await verifier_.Verify(*token, provider->issuer, std::move(audiences), tenant, out);
  if (!claims) co_return std::unexpected(claims.error());
  if (claims->subject().size() <= kSubjectBytesMax) subject = claims->subject();
  if (const Status checked = CheckIdToken(*token, *claims, client_id, request.nonce); !checked) {
    co_return std::unexpected(checked.error());
  }
  const Time now = clock_.Now();
  if (request.nonce.empty() && claims->issue_time() + kIdTokenAgeMax < now) {
    co_return Fail(Code::kUnauthenticated, "TOKEN_STALE", "the ID token is more than ten minutes old; sign in again");
  }
  const auto members = ThatMatter(MembersOf(**trust, provider->name, *claims));
  const std::string name = DisplayNameOf(*claims);
  if (members.empty()) co_return std::unexpected(NotAMember(*provider, *claims, tenant));
  SessionToken session{.id = {},
                       .provider = provider->name,
                       .subject = claims->subject(),
                       .display_name = name,
                       .members = {},
                       .expire_time = {},
                       .end_time = std::chrono::floor<seconds>(now + times_.absolute)};
  const bool is_browser = request.client == tenancy::v1::Session::CLIENT_BROWSER;
  session.expire_time = is_browser ? std::min(std::chrono::floor<seconds>(now + times_.idle),
                                              std::chrono::time_point_cast<seconds>(session.end_time))
                                   : session.end_time;
  for (const federation::Member* member : members) {
    session.members.push_back({member->name.substr(member->name.rfind('/') + 1), ShortGrounds(*member)});
  }
  // Before it is recorded: what nobody could hold is not begun.
  if (const auto sealed = sealer_.Seal(session); !sealed) co_return std::unexpected(sealed.error());
  Sha256 digest;
  digest.Update(token->signed_text().data(), token->signed_text().size());
  const Digest256 bytes = digest.Finish();
  if (request.nonce.empty()) {
    const auto first = shown_.Claim(bytes, provider->name, claims->issue_time() + kIdTokenAgeMax, now);
    if (!first) co_return std::unexpected(first.error());
  }
  tenancy::v1::BeginSessionRequest begin;
  begin.set_parent(tenant);
  tenancy::v1::Session& asked = *begin.mutable_session();
  asked.set_identity_provider(provider->name);
  asked.set_subject(session.subject);
  asked.set_display_name(name);
  for (const federation::Member* member : members) asked.add_members(member->name);
  asked.set_client(request.client);
  asked.set_client_address(request.address);
  if (!FindNoText(request.user_agent)) asked.set_user_agent(CutText(request.user_agent, kUserAgentCharsMax));
  *asked.mutable_expire_time() = ToTimestamp(session.end_time);
  begin.set_id_token_sha256(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  const auto begun = co_await Begin(std::move(begin), out);
  if (!begun) co_return std::unexpected(begun.error());
  const auto id = Uuid::Parse(begun->name().substr(begun->name().rfind('/') + 1));
  if (!id) co_return Internal("the tenancy service named a session that is none");
  session.id = *id;
  // Those that held when it was recorded.
  std::erase_if(session.members, [&](const SessionToken::Held& held) {
    return std::ranges::find(begun->members(), tenant + "/members/" + held.id) == begun->members().end();
  });
  Log(LogLevel::kInfo, "a person signed in",
      {{"session", begun->name()}, {"identity_provider", provider->name}, {"trace", out.trace().trace_id}});
  co_return session;
}

http::Awaitable<Result<tenancy::v1::Session>> SessionStarter::Begin(tenancy::v1::BeginSessionRequest request,
                                                                    http::ResponseWriter& out) {
  const auto rpc = MakeContext(Caller::Service("gateway"), kBeginTimeout, &out.trace());
  tenancy::v1::Session response;
  const std::function<void(std::function<void(grpc::Status)>)> start = [&](std::function<void(grpc::Status)> done) {
    stub_->async()->BeginSession(rpc.get(), &request, &response, std::move(done));
  };
  const grpc::Status status = co_await http::AwaitRpc(start);
  if (!status.ok()) co_return std::unexpected(FromGrpc(status));
  co_return response;
}

}  // namespace allod::gateway::sign_in
