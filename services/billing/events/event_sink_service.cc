#include "services/billing/events/event_sink_service.h"

#include <fmt/format.h>

#include <future>
#include <memory>

#include "services/billing/events/convert_event.h"
#include "services/billing/events/webhook.h"
#include "services/common/page_token.h"
#include "services/common/rpc/request_id.h"
#include "services/common/rpc/server.h"

namespace allod::billing::events {
namespace {

// Shorter than what callers wait for.
constexpr std::chrono::seconds kTestTimeout{8};

// Operators who only look see where it goes, and not what may let them in there.
v1::EventSink ShownTo(const Call& call, const EventSink& sink) {
  v1::EventSink out = ToProto(sink);
  const Caller& caller = call.principal;
  if (caller.kind == Caller::Kind::kOperator && !caller.roles.Has(Role::ROLE_OPERATOR)) out.set_url(SiteOf(sink.url));
  return out;
}

v1::EventSinkWithSecret WithSecret(const EventSink& sink, const SinkSecrets& secrets) {
  v1::EventSinkWithSecret out;
  *out.mutable_event_sink() = ToProto(sink);
  out.set_secret(secrets.Shown(sink.name(), sink.salt));
  return out;
}

}  // namespace

Result<Sending> EventSinkServiceImpl::Configured() const {
  if (sending_) return *sending_;
  return FailedPrecondition("EVENTS_NOT_CONFIGURED",
                            "this installation sends no events: billing's configuration has no event_secret_file");
}

grpc::Status EventSinkServiceImpl::CreateEventSink(grpc::ServerContext* context,
                                                   const v1::CreateEventSinkRequest* request,
                                                   v1::EventSinkWithSecret* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::EventSinkWithSecret> {
    ALLOD_TRY(EventSink wanted, FromProto(*request));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    ALLOD_TRY(const Sending sending, Configured());
    wanted.salt = Uuid::V7(clock_.Now());
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const EventSink made, store_.CreateSink(wanted, request_id));
    return WithSecret(made, sending.secrets);
  });
}

grpc::Status EventSinkServiceImpl::GetEventSink(grpc::ServerContext* context, const v1::GetEventSinkRequest* request,
                                                v1::EventSink* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::EventSink> {
    ALLOD_TRY(const SinkKey key, SinkKeyOf("name", request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const EventSink sink, store_.GetSink(key.tenant, key.id));
    return ShownTo(call, sink);
  });
}

grpc::Status EventSinkServiceImpl::ListEventSinks(grpc::ServerContext* context,
                                                  const v1::ListEventSinksRequest* request,
                                                  v1::ListEventSinksResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListEventSinksResponse> {
    ALLOD_CHECK_OK(MatchName("parent", request->parent(), "tenants/*"));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(request->parent()));
    ALLOD_TRY(const PageRequest page,
              ParsePage("event sinks of " + request->parent(), request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(auto sinks, store_.ListSinks(tenant, page.after, page.size + 1));
    const auto listed = MakePage(page, std::move(sinks), [](const EventSink& sink) { return sink.id; });
    v1::ListEventSinksResponse out;
    for (const EventSink& sink : listed.items) *out.add_event_sinks() = ShownTo(call, sink);
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

grpc::Status EventSinkServiceImpl::UpdateEventSink(grpc::ServerContext* context,
                                                   const v1::UpdateEventSinkRequest* request, v1::EventSink* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::EventSink> {
    ALLOD_TRY(const EventSink wanted, FromProto(*request));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const EventSink changed, store_.UpdateSink(wanted, request->event_sink().etag(), request_id));
    return ToProto(changed);
  });
}

grpc::Status EventSinkServiceImpl::DeleteEventSink(grpc::ServerContext* context,
                                                   const v1::DeleteEventSinkRequest* request,
                                                   google::protobuf::Empty* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<google::protobuf::Empty> {
    ALLOD_TRY(const SinkKey key, SinkKeyOf("name", request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_CHECK_OK(store_.DeleteSink(key));
    return google::protobuf::Empty();
  });
}

grpc::Status EventSinkServiceImpl::RotateEventSinkSecret(grpc::ServerContext* context,
                                                         const v1::RotateEventSinkSecretRequest* request,
                                                         v1::EventSinkWithSecret* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::EventSinkWithSecret> {
    ALLOD_TRY(const SinkKey key, SinkKeyOf("name", request->name()));
    ALLOD_TRY(const auto overlap, OverlapOf(*request));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    ALLOD_TRY(const Sending sending, Configured());
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    const Time now = clock_.Now();
    ALLOD_TRY(const EventSink changed, store_.RotateSecret(key, Uuid::V7(now), now + overlap, request_id));
    return WithSecret(changed, sending.secrets);
  });
}

grpc::Status EventSinkServiceImpl::TestEventSink(grpc::ServerContext* context, const v1::TestEventSinkRequest* request,
                                                 v1::TestEventSinkResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::TestEventSinkResponse> {
    ALLOD_TRY(const SinkKey key, SinkKeyOf("name", request->name()));
    ALLOD_TRY(const Sending sending, Configured());
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(tests_, call));
    ALLOD_TRY(const EventSink sink, store_.GetSink(key.tenant, key.id));
    const Time now = clock_.Now();
    FetchRequest webhook = WebhookOf(
        sink, sending.secrets,
        "[" + ToCloudEvent(sink.tenant_name, Uuid::V7(now).ToString(), kTestKind, sink.name(), now, 0, "{}") + "]",
        now);
    webhook.timeout = kTestTimeout;
    const auto answered = std::make_shared<std::promise<Result<std::string>>>();
    auto answer = answered->get_future();
    sending.fetcher.Fetch(std::move(webhook),
                          [answered](Result<std::string> outcome) { answered->set_value(std::move(outcome)); });
    const Result<std::string> outcome = answer.get();
    v1::TestEventSinkResponse out;
    out.set_delivered(outcome.has_value());
    if (!outcome) out.set_error(WithoutUrl(outcome.error().message, sink.url));
    return out;
  });
}

grpc::Status EventSinkServiceImpl::ReplayEvents(grpc::ServerContext* context, const v1::ReplayEventsRequest* request,
                                                v1::ReplayEventsResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ReplayEventsResponse> {
    ALLOD_TRY(const SinkKey key, SinkKeyOf("name", request->name()));
    if (request->sequence() < 0) return InvalidArgument("INVALID_SEQUENCE", "sequence: must not be negative");
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const std::int64_t first, store_.Replay(key, request->sequence()));
    v1::ReplayEventsResponse out;
    out.set_first_sequence(first);
    return out;
  });
}

}  // namespace allod::billing::events
