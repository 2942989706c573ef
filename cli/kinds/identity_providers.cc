// Identity providers and workload rules.

#include "allod/tenancy/v1/identity_provider.grpc.pb.h"
#include "allod/tenancy/v1/workload_rule.grpc.pb.h"
#include "cli/kinds/calls.h"
#include "services/common/ids.h"

namespace allod::cli::kinds {
namespace {

namespace tenancy_v1 = allod::tenancy::v1;
using google::protobuf::Message;
using net::Services;

// Refused when it is no longer what `current` shows.
tenancy_v1::UpdateIdentityProviderRequest ProviderUpdateOf(const Message& current, const Message& wanted) {
  tenancy_v1::UpdateIdentityProviderRequest request;
  *request.mutable_identity_provider() = dynamic_cast<const tenancy_v1::IdentityProvider&>(wanted);
  request.mutable_identity_provider()->set_etag(dynamic_cast<const tenancy_v1::IdentityProvider&>(current).etag());
  return request;
}

tenancy_v1::UpdateWorkloadRuleRequest RuleUpdateOf(const Message& current, const Message& wanted) {
  tenancy_v1::UpdateWorkloadRuleRequest request;
  *request.mutable_workload_rule() = dynamic_cast<const tenancy_v1::WorkloadRule&>(wanted);
  request.mutable_workload_rule()->set_etag(dynamic_cast<const tenancy_v1::WorkloadRule&>(current).etag());
  return request;
}

ResourceKind IdentityProviderKind() {
  using Service = tenancy_v1::IdentityProviderService;
  return {.kind = "IdentityProvider",
          .plural = "identityProviders",
          .pattern = "tenants/*/identityProviders/*",
          .parent_pattern = "tenants/*",
          .columns = {{"NAME", "name"},
                      {"DISPLAY NAME", "display_name"},
                      {"ISSUER", "issuer"},
                      {"AUDIENCES", "audiences"},
                      {"CLIENT", "sign_in.client_id"},
                      {"DISABLED", "disabled"}},
          .prototype = &tenancy_v1::IdentityProvider::default_instance(),
          .spec_fields = {"display_name", "issuer", "audiences", "disabled", "sign_in"},
          .get = Getter<Service>(&Service::Stub::GetIdentityProvider),
          .list = Lister<Service>(&Service::Stub::ListIdentityProviders),
          .create = [](const Services& services, const Message& wanted, const Attempt& attempt) -> Result<net::Change> {
            tenancy_v1::CreateIdentityProviderRequest request;
            *request.mutable_identity_provider() = dynamic_cast<const tenancy_v1::IdentityProvider&>(wanted);
            request.set_parent(ParentOf(request.identity_provider().name()));
            request.set_identity_provider_id(LastSegment(request.identity_provider().name()));
            Mark(request, attempt);
            return Done(net::Ask<Service>(services, &Service::Stub::CreateIdentityProvider, request));
          },
          .missing =
              [](const Message& wanted, const Error& error) {
                return IfNotFound(error, {ParentOf(dynamic_cast<const tenancy_v1::IdentityProvider&>(wanted).name())});
              },
          .preview = [](const Services& services, const Message& current,
                        const Message& wanted) -> Result<terminal::MessagePtr> {
            auto request = ProviderUpdateOf(current, wanted);
            request.set_validate_only(true);
            auto judged = net::Ask<Service>(services, &Service::Stub::UpdateIdentityProvider, request);
            // The service never shows a secret, so the plan says that there is another.
            const bool has_secret = !request.identity_provider().sign_in().client_secret().empty();
            if (judged && judged->etag().empty() && has_secret) judged->mutable_sign_in()->set_client_secret("(given)");
            return Own(std::move(judged));
          },
          .update = [](const Services& services, const Message& current, const Message& wanted,
                       const std::string& request_id) -> Result<net::Change> {
            auto request = ProviderUpdateOf(current, wanted);
            request.set_request_id(request_id);
            return Done(net::Ask<Service>(services, &Service::Stub::UpdateIdentityProvider, request));
          },
          .remove = [](const Services& services, const std::string& name,
                       const std::string& request_id) -> Result<net::Change> {
            tenancy_v1::DeleteIdentityProviderRequest request;
            request.set_name(name);
            request.set_request_id(request_id);
            return Done(net::Ask<Service>(services, &Service::Stub::DeleteIdentityProvider, request));
          }};
}

ResourceKind WorkloadRuleKind() {
  using Service = tenancy_v1::WorkloadRuleService;
  return {.kind = "WorkloadRule",
          .plural = "workloadRules",
          .pattern = "tenants/*/projects/*/workloadRules/*",
          .parent_pattern = "tenants/*/projects/*",
          .columns = {{"NAME", "name"},
                      {"DISPLAY NAME", "display_name"},
                      {"IDENTITY PROVIDER", "identity_provider"},
                      {"SCOPES", "scopes"},
                      {"ROLES", "roles"},
                      {"CUSTOM ROLES", "custom_roles"},
                      {"MINUTES", "token_minutes"},
                      {"DISABLED", "disabled"}},
          .prototype = &tenancy_v1::WorkloadRule::default_instance(),
          .spec_fields = {"display_name", "identity_provider", "claims", "scopes", "roles", "custom_roles",
                          "token_minutes", "disabled"},
          .get = Getter<Service>(&Service::Stub::GetWorkloadRule),
          .list = Lister<Service>(&Service::Stub::ListWorkloadRules),
          .create = [](const Services& services, const Message& wanted, const Attempt& attempt) -> Result<net::Change> {
            tenancy_v1::CreateWorkloadRuleRequest request;
            *request.mutable_workload_rule() = dynamic_cast<const tenancy_v1::WorkloadRule&>(wanted);
            request.set_parent(ParentOf(request.workload_rule().name()));
            request.set_workload_rule_id(LastSegment(request.workload_rule().name()));
            Mark(request, attempt);
            return Done(net::Ask<Service>(services, &Service::Stub::CreateWorkloadRule, request));
          },
          .missing = [](const Message& wanted, const Error& error) -> std::vector<std::string> {
            const auto& rule = dynamic_cast<const tenancy_v1::WorkloadRule&>(wanted);
            std::vector<std::string> names = {TenantOf(rule.name()), ParentOf(rule.name()), rule.identity_provider()};
            names.insert(names.end(), rule.custom_roles().begin(), rule.custom_roles().end());
            return IfNotFound(error, std::move(names));
          },
          .preview = [](const Services& services, const Message& current,
                        const Message& wanted) -> Result<terminal::MessagePtr> {
            auto request = RuleUpdateOf(current, wanted);
            request.set_validate_only(true);
            return Own(net::Ask<Service>(services, &Service::Stub::UpdateWorkloadRule, request));
          },
          .update = [](const Services& services, const Message& current, const Message& wanted,
                       const std::string& request_id) -> Result<net::Change> {
            auto request = RuleUpdateOf(current, wanted);
            request.set_request_id(request_id);
            return Done(net::Ask<Service>(services, &Service::Stub::UpdateWorkloadRule, request));
          },
          .remove = [](const Services& services, const std::string& name,
                       const std::string& request_id) -> Result<net::Change> {
            tenancy_v1::DeleteWorkloadRuleRequest request;
            request.set_name(name);
            request.set_request_id(request_id);
            return Done(net::Ask<Service>(services, &Service::Stub::DeleteWorkloadRule, request));
          }};
}

}  // namespace

std::vector<ResourceKind> WorkloadIdentityKinds() { return {IdentityProviderKind(), WorkloadRuleKind()}; }

}  // namespace allod::cli::kinds
