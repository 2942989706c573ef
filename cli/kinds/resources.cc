#include "cli/kinds/resources.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "allod/billing/v1/billing_account.grpc.pb.h"
#include "allod/catalog/v1/listing.grpc.pb.h"
#include "allod/catalog/v1/model.grpc.pb.h"
#include "allod/scheduling/v1/instance.grpc.pb.h"
#include "allod/scheduling/v1/node.grpc.pb.h"
#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "allod/tenancy/v1/project.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "cli/net/connections.h"
#include "services/common/ids.h"

namespace allod::cli {
namespace {

namespace billing = allod::billing::v1;
namespace catalog = allod::catalog::v1;
namespace scheduling = allod::scheduling::v1;
namespace tenancy = allod::tenancy::v1;
using google::longrunning::Operation;
using google::protobuf::Message;

constexpr int kListedMax = 100'000;

std::string LastSegment(const std::string& name) { return name.substr(name.rfind('/') + 1); }
std::string ParentOf(const std::string& name) {
  const auto last = name.rfind('/');
  const auto collection = last == std::string::npos ? last : name.rfind('/', last - 1);
  return collection == std::string::npos ? "" : name.substr(0, collection);
}

template <typename T>
Result<MessagePtr> Own(Result<T> result) {
  if (!result) return std::unexpected(result.error());
  return std::make_unique<T>(*std::move(result));
}
template <typename T>
Result<Change> Done(const Result<T>& result) {
  if (!result) return std::unexpected(result.error());
  return Change{};
}
Result<Change> Started(const std::string& service, Result<Operation> result) {
  if (!result) return std::unexpected(result.error());
  return Change{service, *std::move(result)};
}

template <typename Request>
void Mark(Request& request, const Attempt& attempt) {
  request.set_request_id(attempt.request_id);
  request.set_validate_only(attempt.validate_only);
}

// Of something that lies below others: those, when the service did not find one of them.
std::vector<std::string> IfNotFound(const Error& error, std::vector<std::string> names) {
  return error.code == Code::kNotFound ? std::move(names) : std::vector<std::string>();
}

// get(), by a GetX method.
template <typename Service, typename Req, typename T>
auto Getter(const char* service, grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Req&, T*)) {
  return [=](const StateDir& state, const std::string& name) -> Result<MessagePtr> {
    const auto stub = Connect<Service>(state, service);
    Req request;
    request.set_name(name);
    return Own(Ask(*stub, method, request));
  };
}

// list(), by a ListX method, page by page.
template <typename Service, typename Req, typename Resp, typename Items>
auto Lister(const char* service, grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Req&, Resp*),
            Items items) {
  return [=](const StateDir& state, const std::string& parent) -> Result<std::vector<MessagePtr>> {
    const auto stub = Connect<Service>(state, service);
    Req request;
    if constexpr (requires { request.set_parent(parent); }) request.set_parent(parent);
    request.set_page_size(1000);
    std::vector<MessagePtr> all;
    do {
      ALLOD_TRY(const Resp page, Ask(*stub, method, request));
      for (const auto& item : items(page)) {
        if (all.size() == kListedMax) {
          std::fprintf(stderr, "allod: only the first %d are shown\n", kListedMax);
          return all;
        }
        all.emplace_back(item.New())->CopyFrom(item);
      }
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return all;
  };
}

ResourceKind TenantKind() {
  return {.kind = "Tenant",
          .plural = "tenants",
          .pattern = "tenants/*",
          .columns = {{"NAME", "name"},
                      {"DISPLAY NAME", "display_name"},
                      {"CURRENCY", "currency_code"},
                      {"RESIDENCY", "residency"},
                      {"STATE", "state"}},
          .prototype = &tenancy::Tenant::default_instance(),
          .spec_fields = {"display_name", "currency_code", "residency"},
          .get = Getter<tenancy::TenantService>("tenancy", &tenancy::TenantService::Stub::GetTenant),
          .list = Lister<tenancy::TenantService>(
              "tenancy", &tenancy::TenantService::Stub::ListTenants,
              [](const auto& page) -> const auto& { return page.tenants(); }),
          .create = [](const StateDir& state, const Message& wanted, const Attempt& attempt) -> Result<Change> {
            tenancy::CreateTenantRequest request;
            *request.mutable_tenant() = dynamic_cast<const tenancy::Tenant&>(wanted);
            request.set_tenant_id(LastSegment(request.tenant().name()));
            Mark(request, attempt);
            const auto stub = Connect<tenancy::TenantService>(state, "tenancy");
            return Done(Ask(*stub, &tenancy::TenantService::Stub::CreateTenant, request));
          }};
}

ResourceKind ProjectKind() {
  return {.kind = "Project",
          .plural = "projects",
          .pattern = "tenants/*/projects/*",
          .parent_pattern = "tenants/*",
          .columns = {{"NAME", "name"}, {"DISPLAY NAME", "display_name"}},
          .prototype = &tenancy::Project::default_instance(),
          .spec_fields = {"display_name"},
          .get = Getter<tenancy::ProjectService>("tenancy", &tenancy::ProjectService::Stub::GetProject),
          .list = Lister<tenancy::ProjectService>(
              "tenancy", &tenancy::ProjectService::Stub::ListProjects,
              [](const auto& page) -> const auto& { return page.projects(); }),
          .create = [](const StateDir& state, const Message& wanted, const Attempt& attempt) -> Result<Change> {
            tenancy::CreateProjectRequest request;
            *request.mutable_project() = dynamic_cast<const tenancy::Project&>(wanted);
            request.set_parent(ParentOf(request.project().name()));
            request.set_project_id(LastSegment(request.project().name()));
            Mark(request, attempt);
            const auto stub = Connect<tenancy::ProjectService>(state, "tenancy");
            return Done(Ask(*stub, &tenancy::ProjectService::Stub::CreateProject, request));
          },
          .missing =
              [](const Message& wanted, const Error& error) {
                return IfNotFound(error, {ParentOf(dynamic_cast<const tenancy::Project&>(wanted).name())});
              }};
}

ResourceKind ApiKeyKind() {
  return {
      .kind = "ApiKey",
      .plural = "apiKeys",
      .pattern = "tenants/*/projects/*/apiKeys/*",
      .parent_pattern = "tenants/*/projects/*",
      .columns = {{"NAME", "name"}, {"DISPLAY NAME", "display_name"}, {"SCOPES", "scopes"}, {"REVOKED", "revoke_time"}},
      .prototype = &tenancy::ApiKey::default_instance(),
      .list = Lister<tenancy::ApiKeyService>(
          "tenancy", &tenancy::ApiKeyService::Stub::ListApiKeys,
          [](const auto& page) -> const auto& { return page.api_keys(); }),
      .remove = [](const StateDir& state, const std::string& name, const std::string&) -> Result<Change> {
        tenancy::RevokeApiKeyRequest request;
        request.set_name(name);
        const auto stub = Connect<tenancy::ApiKeyService>(state, "tenancy");
        return Done(Ask(*stub, &tenancy::ApiKeyService::Stub::RevokeApiKey, request));
      }};
}

ResourceKind BillingAccountKind() {
  const auto set = [](const StateDir& state, const Message& wanted, const Attempt& attempt) {
    billing::SetBillingAccountRequest request;
    *request.mutable_billing_account() = dynamic_cast<const billing::BillingAccount&>(wanted);
    Mark(request, attempt);
    const auto stub = Connect<billing::BillingAccountService>(state, "billing");
    return Ask(*stub, &billing::BillingAccountService::Stub::SetBillingAccount, request);
  };
  return {
      .kind = "BillingAccount",
      .plural = "billingAccounts",
      .pattern = "tenants/*/billingAccount",
      .columns = {{"NAME", "name"},
                  {"CURRENCY", "currency_code"},
                  {"CREDIT LIMIT", "credit_limit"},
                  {"POSTED", "posted.amount"},
                  {"HELD", "held.amount"}},
      .prototype = &billing::BillingAccount::default_instance(),
      .spec_fields = {"currency_code", "credit_limit"},
      .decimals = {"allod.billing.v1.BillingAccount.credit_limit"},
      .get =
          Getter<billing::BillingAccountService>("billing", &billing::BillingAccountService::Stub::GetBillingAccount),
      .create = [set](const StateDir& state, const Message& wanted,
                      const Attempt& attempt) { return Done(set(state, wanted, attempt)); },
      .missing =
          [](const Message& wanted, const Error& error) {
            return IfNotFound(error, {TenantOf(dynamic_cast<const billing::BillingAccount&>(wanted).name())});
          },
      .preview = [set](const StateDir& state, const Message&,
                       const Message& wanted) { return Own(set(state, wanted, {.validate_only = true})); },
      .update = [set](const StateDir& state, const Message&, const Message& wanted,
                      const std::string& request_id) { return Done(set(state, wanted, {.request_id = request_id})); }};
}

ResourceKind PublisherKind() {
  return {.kind = "Publisher",
          .plural = "publishers",
          .pattern = "publishers/*",
          .columns = {{"NAME", "name"}, {"DISPLAY NAME", "display_name"}},
          .prototype = &catalog::Publisher::default_instance(),
          .list = Lister<catalog::PublisherService>(
              "catalog", &catalog::PublisherService::Stub::ListPublishers,
              [](const auto& page) -> const auto& { return page.publishers(); })};
}

ResourceKind ModelKind() {
  return {.kind = "Model",
          .plural = "models",
          .pattern = "models/*",
          .columns = {{"NAME", "name"}, {"PUBLISHER", "publisher"}, {"DISPLAY NAME", "display_name"}},
          .prototype = &catalog::Model::default_instance(),
          .get = Getter<catalog::ModelService>("catalog", &catalog::ModelService::Stub::GetModel),
          .list = Lister<catalog::ModelService>(
              "catalog", &catalog::ModelService::Stub::ListModels,
              [](const auto& page) -> const auto& { return page.models(); })};
}

ResourceKind VersionKind() {
  return {.kind = "Version",
          .plural = "versions",
          .pattern = "models/*/versions/*",
          .parent_pattern = "models/*",
          .columns = {{"NAME", "name"},
                      {"ARCHITECTURE", "architecture"},
                      {"PARAMETERS", "parameter_count"},
                      {"CONTEXT", "trained_context_tokens"},
                      {"LICENSE", "license"}},
          .prototype = &catalog::Version::default_instance(),
          .get = Getter<catalog::ModelService>("catalog", &catalog::ModelService::Stub::GetVersion),
          .list = Lister<catalog::ModelService>(
              "catalog", &catalog::ModelService::Stub::ListVersions,
              [](const auto& page) -> const auto& { return page.versions(); })};
}

ResourceKind VariantKind() {
  return {.kind = "Variant",
          .plural = "variants",
          .pattern = "models/*/versions/*/variants/*",
          .parent_pattern = "models/*/versions/*",
          .columns = {{"NAME", "name"},
                      {"BYTES", "artifact_bytes"},
                      {"BITS/WEIGHT", "quality.bits_per_weight"},
                      {"PERPLEXITY", "quality.perplexity"},
                      {"MEAN KLD", "quality.mean_kl_divergence"},
                      {"TOP-1 SAME", "quality.top1_agreement"},
                      {"DECODE TOK/S", "quality.decode_tokens_per_second"}},
          .prototype = &catalog::Variant::default_instance(),
          .get = Getter<catalog::ModelService>("catalog", &catalog::ModelService::Stub::GetVariant),
          .list = Lister<catalog::ModelService>(
              "catalog", &catalog::ModelService::Stub::ListVariants,
              [](const auto& page) -> const auto& { return page.variants(); })};
}

ResourceKind ListingKind() {
  return {.kind = "Listing",
          .plural = "listings",
          .pattern = "listings/*",
          .columns = {{"NAME", "name"},
                      {"VERSION", "version"},
                      {"TERMS", "license_terms"},
                      {"TERRITORY", "territory"},
                      {"STATE", "state"}},
          .prototype = &catalog::Listing::default_instance(),
          .spec_fields = {"version", "display_name", "license_terms", "territory", "prices"},
          .decimals = {"allod.billing.v1.TokenPrice.prompt_price_per_million",
                       "allod.billing.v1.TokenPrice.completion_price_per_million"},
          .get = Getter<catalog::ListingService>("catalog", &catalog::ListingService::Stub::GetListing),
          .list = Lister<catalog::ListingService>(
              "catalog", &catalog::ListingService::Stub::ListListings,
              [](const auto& page) -> const auto& { return page.listings(); }),
          .create = [](const StateDir& state, const Message& wanted, const Attempt& attempt) -> Result<Change> {
            catalog::CreateListingRequest request;
            *request.mutable_listing() = dynamic_cast<const catalog::Listing&>(wanted);
            request.set_listing_id(LastSegment(request.listing().name()));
            Mark(request, attempt);
            const auto stub = Connect<catalog::ListingService>(state, "catalog");
            return Done(Ask(*stub, &catalog::ListingService::Stub::CreateListing, request));
          }};
}

// Refused when the instance is no longer what `current` shows.
scheduling::UpdateInstanceRequest UpdateOf(const Message& current, const Message& wanted) {
  scheduling::UpdateInstanceRequest request;
  *request.mutable_instance() = dynamic_cast<const scheduling::Instance&>(wanted);
  request.mutable_instance()->set_etag(dynamic_cast<const scheduling::Instance&>(current).etag());
  return request;
}

ResourceKind InstanceKind() {
  using Service = scheduling::InstanceService;
  return {
      .kind = "Instance",
      .plural = "instances",
      .pattern = "tenants/*/projects/*/instances/*",
      .parent_pattern = "tenants/*/projects/*",
      .columns = {{"NAME", "name"},
                  {"VARIANT", "spec.variant"},
                  {"REGION", "spec.region"},
                  {"CLASS", "status.isolation_class"},
                  {"STATE", "status.state"},
                  {"READY", "status.ready_replicas"},
                  {"MESSAGE", "status.message"}},
      .prototype = &scheduling::Instance::default_instance(),
      .spec_field = "spec",
      .spec_fields = {"spec"},
      .get = Getter<Service>("scheduling", &Service::Stub::GetInstance),
      .list = Lister<Service>(
          "scheduling", &Service::Stub::ListInstances,
          [](const auto& page) -> const auto& { return page.instances(); }),
      .create = [](const StateDir& state, const Message& wanted, const Attempt& attempt) -> Result<Change> {
        scheduling::CreateInstanceRequest request;
        *request.mutable_instance() = dynamic_cast<const scheduling::Instance&>(wanted);
        request.set_parent(ParentOf(request.instance().name()));
        request.set_instance_id(LastSegment(request.instance().name()));
        Mark(request, attempt);
        const auto stub = Connect<Service>(state, "scheduling");
        return Started("scheduling", Ask(*stub, &Service::Stub::CreateInstance, request));
      },
      .missing = [](const Message& wanted, const Error& error) -> std::vector<std::string> {
        const auto& instance = dynamic_cast<const scheduling::Instance&>(wanted);
        const std::string tenant = TenantOf(instance.name());
        if (error.reason == "LISTING_NOT_AVAILABLE") return {instance.spec().listing()};
        if (error.reason == "NO_BILLING_ACCOUNT") return {tenant + "/billingAccount"};
        return IfNotFound(error, {tenant, ParentOf(instance.name())});
      },
      .preview = [](const StateDir& state, const Message& current, const Message& wanted) -> Result<MessagePtr> {
        auto request = UpdateOf(current, wanted);
        request.set_validate_only(true);
        const auto stub = Connect<Service>(state, "scheduling");
        ALLOD_TRY(const Operation operation, Ask(*stub, &Service::Stub::UpdateInstance, request));
        scheduling::Instance instance;
        if (!operation.response().UnpackTo(&instance)) return Internal("the answer to a dry run holds no instance");
        return std::make_unique<scheduling::Instance>(std::move(instance));
      },
      .update = [](const StateDir& state, const Message& current, const Message& wanted,
                   const std::string& request_id) -> Result<Change> {
        auto request = UpdateOf(current, wanted);
        request.set_request_id(request_id);
        const auto stub = Connect<Service>(state, "scheduling");
        return Started("scheduling", Ask(*stub, &Service::Stub::UpdateInstance, request));
      },
      .remove = [](const StateDir& state, const std::string& name, const std::string& request_id) -> Result<Change> {
        scheduling::DeleteInstanceRequest request;
        request.set_name(name);
        request.set_request_id(request_id);
        const auto stub = Connect<Service>(state, "scheduling");
        return Started("scheduling", Ask(*stub, &Service::Stub::DeleteInstance, request));
      }};
}

ResourceKind NodeKind() {
  return {.kind = "Node",
          .plural = "nodes",
          .pattern = "nodes/*",
          .columns = {{"NAME", "name"},
                      {"REGION", "region"},
                      {"STATE", "state"},
                      {"WORKERS", "worker_count"},
                      {"MEMORY", "capacity.memory_bytes"},
                      {"ALLOCATED", "allocated.memory_bytes"}},
          .prototype = &scheduling::Node::default_instance(),
          .list = Lister<scheduling::NodeService>(
              "scheduling", &scheduling::NodeService::Stub::ListNodes,
              [](const auto& page) -> const auto& { return page.nodes(); })};
}

ResourceKind WorkerKind() {
  return {.kind = "Worker",
          .plural = "workers",
          .pattern = "nodes/*/workers/*",
          .parent_pattern = "nodes/*",
          .all_parents = "nodes/-",
          .columns = {{"NAME", "name"},
                      {"INSTANCE", "instance"},
                      {"CLASS", "isolation_class"},
                      {"STATE", "state"},
                      {"PID", "pid"},
                      {"STARTS", "start_count"},
                      {"WAKES", "figures.wake_count"},
                      {"SANDBOX", "sandbox_layers"},
                      {"MESSAGE", "message"}},
          .prototype = &scheduling::Worker::default_instance(),
          .list = Lister<scheduling::NodeService>(
              "scheduling", &scheduling::NodeService::Stub::ListWorkers,
              [](const auto& page) -> const auto& { return page.workers(); })};
}

ResourceKind RegionKind() {
  return {.kind = "Region",
          .plural = "regions",
          .pattern = "regions/*",
          .columns = {{"NAME", "name"}, {"JURISDICTION", "jurisdiction"}},
          .prototype = &scheduling::Region::default_instance(),
          .list = Lister<scheduling::NodeService>(
              "scheduling", &scheduling::NodeService::Stub::ListRegions,
              [](const auto& page) -> const auto& { return page.regions(); })};
}

}  // namespace

const std::vector<ResourceKind>& ResourceKinds() {
  static const auto* kinds = new std::vector<ResourceKind>{
      TenantKind(),  ProjectKind(), ApiKeyKind(),   BillingAccountKind(), PublisherKind(), ModelKind(), VersionKind(),
      VariantKind(), ListingKind(), InstanceKind(), NodeKind(),           WorkerKind(),    RegionKind()};
  return *kinds;
}

Result<const ResourceKind*> FindKind(const std::string& text) {
  const auto lower = [](std::string s) {
    std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return s;
  };
  std::string known;
  for (const auto& kind : ResourceKinds()) {
    if (lower(text) == lower(kind.kind) || lower(text) == lower(kind.plural)) return &kind;
    known += (known.empty() ? "" : ", ") + kind.plural;
  }
  return InvalidArgument("UNKNOWN_KIND", fmt::format("'{}' is none of {}", text, known));
}

}  // namespace allod::cli
