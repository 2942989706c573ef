// Instances.

#include <fmt/format.h>

#include "allod/scheduling/v1/instance.grpc.pb.h"
#include "cli/kinds/calls.h"
#include "services/common/ids.h"

namespace allod::cli::kinds {
namespace {

namespace scheduling_v1 = allod::scheduling::v1;
using google::longrunning::Operation;
using google::protobuf::Message;
using net::Services;

// Refused when the instance is no longer what `current` shows.
scheduling_v1::UpdateInstanceRequest UpdateOf(const Message& current, const Message& wanted) {
  scheduling_v1::UpdateInstanceRequest request;
  *request.mutable_instance() = dynamic_cast<const scheduling_v1::Instance&>(wanted);
  request.mutable_instance()->set_etag(dynamic_cast<const scheduling_v1::Instance&>(current).etag());
  return request;
}

std::optional<Unsettled> UnsettledOf(const Message& message) {
  const auto& instance = dynamic_cast<const scheduling_v1::Instance&>(message);
  const scheduling_v1::InstanceStatus& status = instance.status();
  using Status = scheduling_v1::InstanceStatus;
  const bool is_ready = status.state() == Status::STATE_READY;
  if (is_ready && status.observed_generation() >= instance.generation()) return std::nullopt;
  const std::string state = is_ready ? "PROVISIONING" : terminal::FieldText(status, "state");
  const bool passes = state == "PROVISIONING" || status.reason() == "TENANT_UNKNOWN";
  return Unsettled{{Code::kFailedPrecondition, status.reason().empty() ? "INSTANCE_" + state : status.reason(),
                    status.message().empty() ? state : fmt::format("{}: {}", state, status.message())},
                   passes};
}

ResourceKind InstanceKind() {
  using Service = scheduling_v1::InstanceService;
  return {.kind = "Instance",
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
          .prototype = &scheduling_v1::Instance::default_instance(),
          .spec_field = "spec",
          .spec_fields = {"spec"},
          .get = Getter<Service>(&Service::Stub::GetInstance),
          .list = Lister<Service>(&Service::Stub::ListInstances),
          .create = [](const Services& services, const Message& wanted, const Attempt& attempt) -> Result<net::Change> {
            scheduling_v1::CreateInstanceRequest request;
            *request.mutable_instance() = dynamic_cast<const scheduling_v1::Instance&>(wanted);
            request.set_parent(ParentOf(request.instance().name()));
            request.set_instance_id(LastSegment(request.instance().name()));
            Mark(request, attempt);
            return Started("scheduling", net::Ask<Service>(services, &Service::Stub::CreateInstance, request));
          },
          .missing = [](const Message& wanted, const Error& error) -> std::vector<std::string> {
            const auto& instance = dynamic_cast<const scheduling_v1::Instance&>(wanted);
            const std::string tenant = TenantOf(instance.name());
            if (error.reason == "LISTING_NOT_AVAILABLE") return {instance.spec().listing()};
            if (error.reason == "NO_BILLING_ACCOUNT") return {tenant + "/billingAccount"};
            if (error.reason == "REGION_OUTSIDE_RESIDENCY") return {tenant};
            return IfNotFound(error, {tenant, ParentOf(instance.name())});
          },
          .preview = [](const Services& services, const Message& current,
                        const Message& wanted) -> Result<terminal::MessagePtr> {
            auto request = UpdateOf(current, wanted);
            request.set_validate_only(true);
            ALLOD_TRY(const Operation operation, net::Ask<Service>(services, &Service::Stub::UpdateInstance, request));
            scheduling_v1::Instance instance;
            if (!operation.response().UnpackTo(&instance)) return Internal("the answer to a dry run holds no instance");
            return std::make_unique<scheduling_v1::Instance>(std::move(instance));
          },
          .update = [](const Services& services, const Message& current, const Message& wanted,
                       const std::string& request_id) -> Result<net::Change> {
            auto request = UpdateOf(current, wanted);
            request.set_request_id(request_id);
            return Started("scheduling", net::Ask<Service>(services, &Service::Stub::UpdateInstance, request));
          },
          .remove = [](const Services& services, const std::string& name,
                       const std::string& request_id) -> Result<net::Change> {
            scheduling_v1::DeleteInstanceRequest request;
            request.set_name(name);
            request.set_request_id(request_id);
            return Started("scheduling", net::Ask<Service>(services, &Service::Stub::DeleteInstance, request));
          },
          .unsettled = &UnsettledOf};
}

}  // namespace

std::vector<ResourceKind> InstanceKinds() { return {InstanceKind()}; }

}  // namespace allod::cli::kinds
