#include "services/billing/events/convert_event.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include "services/billing/convert.h"
#include "services/common/rpc/timestamp.h"

namespace allod::billing::events {
namespace {

constexpr char kPattern[] = "tenants/*/eventSinks/*";

v1::EventSinkStatus::State StateOf(const EventSink& sink) {
  if (sink.disabled) return v1::EventSinkStatus::STATE_DISABLED;
  if (sink.health.suspended) return v1::EventSinkStatus::STATE_SUSPENDED;
  return sink.health.failures > 0 ? v1::EventSinkStatus::STATE_FAILING : v1::EventSinkStatus::STATE_ACTIVE;
}

Result<EventSink> ContentOf(const v1::EventSink& message, const std::string& tenant_name, const std::string& id) {
  EventSink out;
  ALLOD_TRY(out.tenant, TenantId::FromName(tenant_name));
  out.tenant_name = tenant_name;
  out.id = id;
  out.display_name = message.display_name();
  out.url = message.url();
  out.kinds.assign(message.kinds().begin(), message.kinds().end());
  out.disabled = message.disabled();
  ALLOD_CHECK_OK(CheckSink(out));
  return out;
}

}  // namespace

std::string UsageJson(const UsageRecord& record, const std::string& tenant_name) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string out;
  if (!google::protobuf::util::MessageToJsonString(billing::ToProto(record, tenant_name), &out, options).ok())
    return "{}";
  return out;
}

v1::EventSink ToProto(const EventSink& sink) {
  v1::EventSink out;
  out.set_name(sink.name());
  out.set_display_name(sink.display_name);
  out.set_url(sink.url);
  for (const std::string& kind : sink.kinds) out.add_kinds(kind);
  out.set_disabled(sink.disabled);
  *out.mutable_create_time() = ToTimestamp(sink.create_time);
  out.set_etag(EtagOf(sink));
  if (sink.previous_expire_time) *out.mutable_previous_secret_expire_time() = ToTimestamp(*sink.previous_expire_time);
  const SinkHealth& health = sink.health;
  v1::EventSinkStatus& status = *out.mutable_status();
  status.set_state(StateOf(sink));
  if (health.last_success_time) *status.mutable_last_success_time() = ToTimestamp(*health.last_success_time);
  if (health.last_error_time) *status.mutable_last_error_time() = ToTimestamp(*health.last_error_time);
  status.set_last_error(health.last_error);
  if (health.next_attempt) *status.mutable_next_attempt_time() = ToTimestamp(*health.next_attempt);
  status.set_failure_count(health.failures);
  status.set_backlog_count(health.backlog);
  return out;
}

Result<EventSink> FromProto(const v1::CreateEventSinkRequest& request) {
  ALLOD_CHECK_OK(MatchName("parent", request.parent(), "tenants/*"));
  return ContentOf(request.event_sink(), request.parent(), request.event_sink_id());
}

Result<EventSink> FromProto(const v1::UpdateEventSinkRequest& request) {
  const std::string& name = request.event_sink().name();
  ALLOD_TRY(const auto parts, MatchName("event_sink.name", name, kPattern));
  return ContentOf(request.event_sink(), TenantOf(name), parts[1]);
}

Result<std::chrono::seconds> OverlapOf(const v1::RotateEventSinkSecretRequest& request) {
  const auto seconds = request.overlap().seconds();
  if (seconds < 0 || seconds > std::chrono::seconds(kOverlapMax).count()) {
    return InvalidArgument("INVALID_OVERLAP", fmt::format("overlap: must be 0 to {} hours", kOverlapMax.count()));
  }
  return std::chrono::seconds(seconds);
}

Result<SinkKey> SinkKeyOf(std::string_view field, const std::string& name) {
  ALLOD_TRY(const auto parts, MatchName(field, name, kPattern));
  ALLOD_TRY(const TenantId tenant, TenantId::FromName(name));
  return SinkKey{tenant, parts[1]};
}

}  // namespace allod::billing::events
