#include "services/common/rpc/caller.h"

#include <fmt/format.h>
#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "services/common/ids.h"

namespace allod {
namespace {

constexpr char kMetadataKey[] = "allod-caller";
constexpr std::size_t kWordsMax = 16;

std::unexpected<Error> NoCaller(std::string_view why) {
  return Fail(
      Code::kUnauthenticated, "NO_CALLER",
      fmt::format(
          "{}; state the metadata {} as operator (or operator roles:WORD), service:NAME, node:NAME, tenant:ID or "
          "tenant:ID project:ID key:KID (or rule:ID) scopes:WORD,WORD roles:WORD,WORD or tenant:ID "
          "session:UUID roles:WORD projects:ID=WORD+WORD,ID=WORD, or tenant:ID from:ID session:UUID roles:WORD "
          "projects:; custom:ID=PERMISSIONS at the end says what roles/ID permits",
          why, kMetadataKey));
}

// "key:value" without the key, of the words that `text` begins with; what follows stays in `text`.
std::optional<std::string_view> TakeWord(std::string_view key, std::string_view& text) {
  if (!text.starts_with(key)) return std::nullopt;
  text.remove_prefix(key.size());
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view value = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return value;
}

bool IsWord(std::string_view word) {
  return !word.empty() && word.size() <= 32 &&
         std::ranges::all_of(word, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

// "a,b", or with another separator.
template <typename Take>
bool ForEach(std::string_view text, char separator, std::size_t max, Take take) {
  for (std::size_t count = 0; !text.empty(); ++count) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (count == max || !take(text.substr(0, end))) return false;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return true;
}

std::optional<std::vector<std::string>> ParseWords(std::string_view text) {
  std::vector<std::string> out;
  const bool valid = ForEach(text, ',', kWordsMax, [&](std::string_view word) {
    out.emplace_back(word);
    return IsWord(word);
  });
  return valid ? std::optional(std::move(out)) : std::nullopt;
}

// By id.
using CustomRoles = std::map<std::string, std::shared_ptr<const CustomRole>, std::less<>>;

constexpr std::string_view kCustomPrefix = "roles/";

// A role of the platform that is not known here permits nothing; one of the tenant's own must be explained.
std::optional<Rights> ParseRoles(std::string_view text, const CustomRoles& custom, char separator = ',') {
  Rights out;
  const bool valid = ForEach(text, separator, kWordsMax + Caller::kCustomRolesMax, [&](std::string_view word) {
    if (word.starts_with(kCustomPrefix)) {
      const auto found = custom.find(word.substr(kCustomPrefix.size()));
      if (found == custom.end()) return false;
      out.Add(found->second);
      return true;
    }
    if (const auto role = RoleOf(word)) out.Add(*role);
    return IsWord(word);
  });
  return valid ? std::optional(std::move(out)) : std::nullopt;
}

// "on-call=scheduling.instances.get|list;deploy=..."; each once, in order.
std::optional<CustomRoles> ParseCustom(std::string_view text) {
  CustomRoles out;
  if (text.size() > Caller::kCustomBytesMax) return std::nullopt;
  const bool valid = ForEach(text, ';', Caller::kCustomRolesMax, [&](std::string_view one) {
    const std::size_t equals = one.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string id(one.substr(0, equals));
    auto permits = Permissions::Parse(one.substr(equals + 1));
    if (!CheckId("caller", id) || !permits || (!out.empty() && out.rbegin()->first >= id)) return false;
    out[id] = std::make_shared<const CustomRole>(CustomRole{id, *std::move(permits)});
    return true;
  });
  return valid ? std::optional(std::move(out)) : std::nullopt;
}

// "p=viewer+billing,q=admin"; each project once, in order.
std::optional<std::vector<ProjectRoles>> ParseProjects(std::string_view text, const CustomRoles& custom) {
  std::vector<ProjectRoles> out;
  const bool valid = ForEach(text, ',', Caller::kProjectsMax, [&](std::string_view one) {
    const std::size_t equals = one.find('=');
    if (equals == std::string_view::npos || equals + 1 == one.size()) return false;
    std::string project(one.substr(0, equals));
    auto roles = ParseRoles(one.substr(equals + 1), custom, '+');
    const bool in_order = out.empty() || out.back().project < project;
    if (!CheckId("caller", project) || !roles || !in_order) return false;
    out.push_back({std::move(project), *std::move(roles)});
    return true;
  });
  return valid ? std::optional(std::move(out)) : std::nullopt;
}

// What follows "session:", after the tenant.
Result<Caller> ParsePerson(std::string tenant, std::string_view session, std::string_view text,
                           const CustomRoles& custom) {
  if (!Uuid::Parse(session)) return NoCaller("the caller's session is malformed");
  const auto role_words = TakeWord("roles:", text);
  auto roles = role_words ? ParseRoles(*role_words, custom) : std::nullopt;
  if (!roles) return NoCaller("the caller's roles are malformed");
  const auto project_words = TakeWord("projects:", text);
  auto projects = project_words ? ParseProjects(*project_words, custom) : std::nullopt;
  if (!projects || !text.empty()) return NoCaller("the caller's projects are malformed");
  return Caller::Person(std::move(tenant), std::string(session), *std::move(roles), *std::move(projects));
}

// "operator", or with roles of operators.
Result<Caller> ParseOperator(std::string_view text) {
  if (text.empty()) return Caller::Operator();
  const auto words = TakeWord(" roles:", text);
  const auto roles = words ? ParseRoles(*words, {}) : std::nullopt;
  if (!roles || roles->empty() || !text.empty() || roles->built_in().InBoth(kRolesOfOperators) != roles->built_in()) {
    return NoCaller("the operator's roles are malformed");
  }
  return Caller::Operator(roles->built_in());
}

// "tenant:ke", a person, or "tenant:ke project:p key:kid scopes:a,b roles:c,d", with "rule:id" or nothing in the place
// of "key:"; and after it what custom roles permit.
Result<Caller> ParseTenant(std::string_view text) {
  // TakeWord() takes the blank after a word with it; there is none after the last.
  if (text.ends_with(' ')) return NoCaller("the caller is malformed");
  constexpr std::string_view kCustom = " custom:";
  CustomRoles custom;
  if (const std::size_t at = text.find(kCustom); at != std::string_view::npos) {
    auto parsed = ParseCustom(text.substr(at + kCustom.size()));
    if (!parsed || parsed->empty()) return NoCaller("the caller's custom roles are malformed");
    custom = *std::move(parsed);
    text = text.substr(0, at);
    if (text.ends_with(' ')) return NoCaller("the caller is malformed");
  }
  const auto tenant = TakeWord("tenant:", text);
  if (!tenant || !CheckId("caller", *tenant)) return NoCaller("the caller is malformed");
  if (text.empty() && custom.empty()) return Caller::Tenant(std::string(*tenant));
  const auto home = TakeWord("from:", text);
  if (home && (!CheckId("caller", *home) || *home == *tenant)) return NoCaller("where the caller is from is malformed");
  if (const auto session = TakeWord("session:", text)) {
    ALLOD_TRY(Caller person, ParsePerson(std::string(*tenant), *session, text, custom));
    if (home && !person.project_roles.empty()) return NoCaller("the caller's projects are of another tenant");
    if (home) person.home = *home;
    return person;
  }
  if (home) return NoCaller("only a person is from another tenant");
  const auto project = TakeWord("project:", text);
  if (!project || !CheckId("caller", *project)) return NoCaller("the caller's project is malformed");
  const auto kid = TakeWord("key:", text);
  if (kid && !CheckId("caller", *kid)) return NoCaller("the caller's key is malformed");
  const auto rule = TakeWord("rule:", text);
  if (rule && (kid || !CheckId("caller", *rule))) return NoCaller("the caller's rule is malformed");
  const auto scope_words = TakeWord("scopes:", text);
  auto scopes = scope_words ? ParseWords(*scope_words) : std::nullopt;
  if (!scopes) return NoCaller("the caller's scopes are malformed");
  const auto role_words = TakeWord("roles:", text);
  auto roles = role_words ? ParseRoles(*role_words, custom) : std::nullopt;
  if (!roles || !text.empty()) return NoCaller("the caller's roles are malformed");
  if (rule) {
    return Caller::Workload(std::string(*tenant), std::string(*project), std::string(*rule), *std::move(scopes),
                            *std::move(roles));
  }
  return Caller::Key(std::string(*tenant), std::string(*project), *std::move(scopes), *std::move(roles),
                     std::string(kid.value_or("")));
}

// What the custom roles of the caller permit, without the word before it.
std::string CustomText(const Caller& caller) {
  Rights all = caller.roles;
  for (const ProjectRoles& at : caller.project_roles) all.Add(at.roles);
  std::string out;
  for (const auto& role : all.custom()) {
    out.append(out.empty() ? "" : ";").append(role->id).append("=").append(role->permits.ToText());
  }
  return out;
}

std::string WithCustom(std::string text, const Caller& caller) {
  const std::string custom = CustomText(caller);
  return custom.empty() ? text : text + " custom:" + custom;
}

std::string PersonText(const Caller& person) {
  std::string projects;
  for (const auto& [project, roles] : person.project_roles) {
    std::string words = roles.ToString();
    std::ranges::replace(words, ',', '+');
    projects += fmt::format("{}{}={}", projects.empty() ? "" : ",", project, words);
  }
  return fmt::format("tenant:{} {}session:{} roles:{} projects:{}", person.id,
                     person.home.empty() ? "" : fmt::format("from:{} ", person.home), person.session,
                     person.roles.ToString(), projects);
}

}  // namespace

Result<Caller> Caller::Parse(std::string_view text) {
  if (text == "operator" || text.starts_with("operator ")) return ParseOperator(text.substr(8));
  if (text.starts_with("tenant:")) return ParseTenant(text);
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string_view id = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  if (!CheckId("caller", id)) return NoCaller("the caller is malformed");
  if (kind == "service") return Service(std::string(id));
  if (kind == "node") return Node(std::string(id));
  return NoCaller("the caller is malformed");
}

Result<Caller> Caller::From(const grpc::ServerContextBase& context) {
  const auto range = context.client_metadata().equal_range(kMetadataKey);
  if (range.first == range.second) return NoCaller("the call names no caller");
  if (std::next(range.first) != range.second) return NoCaller("the call names more than one caller");
  return Parse(std::string_view(range.first->second.data(), range.first->second.size()));
}

std::string Caller::ToString() const {
  switch (kind) {
    case Kind::kOperator:
      return roles == Rights{Role::ROLE_OPERATOR} ? "operator" : "operator roles:" + roles.ToString();
    case Kind::kService:
      return "service:" + id;
    case Kind::kNode:
      return "node:" + id;
    case Kind::kTenant:
      if (is_person()) return WithCustom(PersonText(*this), *this);
      if (!in_project()) return "tenant:" + id;
      return WithCustom(fmt::format("tenant:{} project:{} {}scopes:{} roles:{}", id, project,
                                    !kid.empty()    ? fmt::format("key:{} ", kid)
                                    : !rule.empty() ? fmt::format("rule:{} ", rule)
                                                    : "",
                                    fmt::join(scopes, ","), roles.ToString()),
                        *this);
  }
  return "";
}

Status Caller::CheckStatable() const {
  Rights all = roles;
  for (const ProjectRoles& at : project_roles) all.Add(at.roles);
  if (all.custom().size() <= kCustomRolesMax && CustomText(*this).size() <= kCustomBytesMax &&
      ToString().size() <= kTextBytesMax) {
    return {};
  }
  return Fail(Code::kPermissionDenied, "TOO_MANY_PERMISSIONS",
              fmt::format("your {} custom roles have more permissions together than a call can carry: name one project "
                          "in the header x-allod-project, or have fewer, or some of the platform's roles instead",
                          all.custom().size()));
}

namespace {

// Keeps of custom roles what fits into a call.
class CustomRoom {
 public:
  // `bare` states no custom role.
  explicit CustomRoom(const Caller& bare) : text_(bare.ToString().size()) {}

  // Of those that hold where `held` does, beside the platform's roles `above` that hold there too.
  Rights Kept(const Rights& held, Roles above) {
    Rights out = held.built_in();
    above.Add(held.built_in());
    for (const auto& role : held.custom()) {
      if (!IsCovered(*role, above) && Take(*role)) out.Add(role);
    }
    return out;
  }

 private:
  bool IsCovered(const CustomRole& role, Roles by) {
    const auto [known, is_new] = covered_.try_emplace({by.ToString(), role.id});
    if (is_new) known->second = !FirstBeyond(by, role.permits.patterns());
    return known->second;
  }
  bool Take(const CustomRole& role) {
    // With a separator each, as CustomText() and Rights::ToString() have it; " custom:" is one more.
    constexpr std::size_t kAround = 16;
    const std::size_t named = text_ + kCustomPrefix.size() + role.id.size() + 1;
    const std::size_t explained = role.id.size() + role.permits.ToText().size() + 2;
    const bool is_new = !taken_.contains(role.id);
    const std::size_t custom = custom_ + (is_new ? explained : 0);
    if (named + custom + kAround > Caller::kTextBytesMax) return false;
    if (is_new && (custom > Caller::kCustomBytesMax || taken_.size() == Caller::kCustomRolesMax)) return false;
    text_ = named;
    custom_ = custom;
    taken_.insert(role.id);
    return true;
  }

  std::size_t text_;
  std::size_t custom_ = 0;
  std::set<std::string> taken_;
  std::map<std::pair<std::string, std::string>, bool> covered_;  // by roles of the platform, id
};

}  // namespace

Caller Caller::Statable() const {
  if (CheckStatable()) return *this;
  Caller out = *this;
  out.roles.ForgetCustom();
  for (ProjectRoles& at : out.project_roles) at.roles.ForgetCustom();
  CustomRoom room(out);
  out.roles = room.Kept(roles, {});
  for (std::size_t i = 0; i < project_roles.size(); ++i) {
    out.project_roles[i].roles = room.Kept(project_roles[i].roles, roles.built_in());
  }
  // Where nothing is left nothing is stated.
  std::erase_if(out.project_roles, [](const ProjectRoles& at) { return at.roles.empty(); });
  return out;
}

std::string Caller::Owner() const {
  // Another key than the operator: of the places that operators have together a free one goes to who has the fewest.
  if (kind == Kind::kOperator && !roles.Has(Role::ROLE_OPERATOR)) return "operator:" + roles.ToString();
  return kind == Kind::kTenant ? Tenant(own_tenant()).ToString() : ToString();
}

Actor Caller::ToActor() const {
  switch (kind) {
    case Kind::kOperator:
      return {"operator", roles.ToString(), ""};
    case Kind::kService:
      return {"service", id, ""};
    case Kind::kNode:
      return {"node", "nodes/" + id, ""};
    case Kind::kTenant:
      if (is_person()) {
        return {"person", fmt::format("tenants/{}/sessions/{}", own_tenant(), session), session};
      }
      if (!in_project()) return {"tenant", "tenants/" + id, ""};
      if (!rule.empty()) {
        return {"workload", fmt::format("tenants/{}/projects/{}/workloadRules/{}", id, project, rule), rule};
      }
      return {"api_key", fmt::format("tenants/{}/projects/{}{}", id, project, kid.empty() ? "" : "/apiKeys/" + kid),
              kid};
  }
  return {};
}

void Caller::AttachTo(grpc::ClientContext& context) const { context.AddMetadata(kMetadataKey, ToString()); }

}  // namespace allod
