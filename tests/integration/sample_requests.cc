#include "tests/integration/sample_requests.h"

#include <atomic>
#include <map>

#include "tests/integration/programs_fixture.h"

namespace allod {
namespace {

using google::protobuf::FieldDescriptor;

// By the type of the message; {n} is another number each time, {tenant} the tenant that is asked about.
const std::map<std::string, std::string>& Samples() {
  static const std::map<std::string, std::string> samples = {
      {"allod.tenancy.v1.Tenant", R"({"displayName":"Tenant","currencyCode":"KES","residency":["ke"]})"},
      {"allod.tenancy.v1.Project", R"({"displayName":"Project"})"},
      {"allod.tenancy.v1.ApiKey", R"({"displayName":"Key"})"},
      {"allod.tenancy.v1.IdentityProvider",
       R"({"displayName":"Pipelines","issuer":"https://issuer-{n}.example","audiences":["allod"]})"},
      {"allod.tenancy.v1.WorkloadRule",
       R"({"displayName":"Rule","identityProvider":"{tenant}/identityProviders/pipelines",)"
       R"("claims":[{"claim":"sub","equals":"main"}],"scopes":["SCOPE_PORTAL"],"roles":["ROLE_VIEWER"]})"},
      {"allod.scheduling.v1.Instance", std::string(R"({"spec":{"listing":")") + Programs::kListing +
                                           R"(","variant":")" + Programs::kVariant + R"(","region":"regions/ke-1"}})"},
      {"allod.scheduling.v1.Quote", std::string(R"({"spec":{"listing":")") + Programs::kListing + R"(","variant":")" +
                                        Programs::kVariant + R"(","region":"regions/ke-1"}})"},
      {"allod.scheduling.v1.Region", R"({"jurisdiction":"ke","displayName":"Region"})"},
      {"allod.tenancy.v1.Member",
       R"({"displayName":"Member","identityProvider":"{tenant}/identityProviders/people",)"
       R"("claims":[{"claim":"sub","equals":"main"}],"grants":[{"resource":"{tenant}","roles":["ROLE_VIEWER"]}]})"},
      {"allod.tenancy.v1.Role", R"({"displayName":"Role","permissions":["scheduling.instances.get"]})"},
      {"allod.tenancy.v1.EndSessionsRequest.Person",
       R"({"identityProvider":"{tenant}/identityProviders/people","subject":"nobody"})"},
      {"allod.tenancy.v1.EraseAuditPersonRequest.Person",
       R"({"identityProvider":"{tenant}/identityProviders/people","subject":"nobody"})"},
      {"allod.billing.v1.EventSink", R"({"displayName":"Sink","url":"https://sink-{n}.example/"})"},
      {"allod.billing.v1.Budget", R"({"displayName":"Budget","period":"PERIOD_MONTH","amount":"5"})"},
      {"google.protobuf.Duration", R"("0.1s")"},
  };
  return samples;
}

std::string Replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
  return text;
}

}  // namespace

MessagePtr SampleRequest(const google::protobuf::MethodDescriptor& method, const Method& rule,
                         const std::string& resource, const std::string& standing) {
  static std::atomic<int> number = 0;
  const std::string n = std::to_string(++number);
  const std::string tenant = resource.substr(0, resource.find('/', resource.find('/') + 1));
  const auto& type = *method.input_type();
  MessagePtr out = NewMessage(type);
  const auto& reflection = *out->GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    if (field->is_repeated()) continue;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      auto& part = *reflection.MutableMessage(out.get(), field);
      const bool is_subject = rule.resource.size() > 1 && rule.resource.front() == field;
      const auto sample = Samples().find(field->message_type()->full_name());
      if (is_subject && !standing.empty()) {
        FillFromJson(standing, part);
      } else if (sample != Samples().end()) {
        FillFromJson(Replaced(Replaced(sample->second, "{n}", n), "{tenant}", tenant), part);
      } else {
        reflection.ClearField(out.get(), field);
      }
    } else if (field->type() == FieldDescriptor::TYPE_ENUM && field->name() == "format") {
      reflection.SetEnumValue(out.get(), field, 1);  // nothing is made in none
    } else if (field->type() == FieldDescriptor::TYPE_STRING && field->name().ends_with("_id") &&
               field->name() != "request_id" && method.name().starts_with("Create")) {
      // What is below a tenant begins with its id.
      const std::string below = field->name() == "tenant_id" ? tenant.substr(tenant.find('/') + 1) + "-" : "";
      reflection.SetString(out.get(), field, below + "new-" + n);
    }
  }
  if (!rule.resource.empty()) SetText(*out, rule.resource, resource);
  return out;
}

}  // namespace allod
