// RPCs of EventSinkService. Thread-safe; borrows what it is given.
#pragma once

#include "allod/billing/v1/event_sink.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/events/event_store.h"
#include "services/billing/events/signature.h"
#include "services/common/clock.h"
#include "services/common/web/fetcher.h"

namespace allod::billing::events {

// What sinks need of the installation.
struct Sending {
  const SinkSecrets& secrets;
  Fetcher& fetcher;
};

class EventSinkServiceImpl final : public v1::EventSinkService::Service {
 public:
  // Without `sending` no sink is made, nor a secret, nor anything sent: FAILED_PRECONDITION / EVENTS_NOT_CONFIGURED.
  EventSinkServiceImpl(EventStore& store, const std::optional<Sending>& sending, const Clock& clock, CallGates& gates)
      : store_(store), sending_(sending), clock_(clock), gates_(gates) {}

  grpc::Status CreateEventSink(grpc::ServerContext* context, const v1::CreateEventSinkRequest* request,
                               v1::EventSinkWithSecret* response) override;
  grpc::Status GetEventSink(grpc::ServerContext* context, const v1::GetEventSinkRequest* request,
                            v1::EventSink* response) override;
  grpc::Status ListEventSinks(grpc::ServerContext* context, const v1::ListEventSinksRequest* request,
                              v1::ListEventSinksResponse* response) override;
  grpc::Status UpdateEventSink(grpc::ServerContext* context, const v1::UpdateEventSinkRequest* request,
                               v1::EventSink* response) override;
  grpc::Status DeleteEventSink(grpc::ServerContext* context, const v1::DeleteEventSinkRequest* request,
                               google::protobuf::Empty* response) override;
  grpc::Status RotateEventSinkSecret(grpc::ServerContext* context, const v1::RotateEventSinkSecretRequest* request,
                                     v1::EventSinkWithSecret* response) override;
  grpc::Status TestEventSink(grpc::ServerContext* context, const v1::TestEventSinkRequest* request,
                             v1::TestEventSinkResponse* response) override;
  grpc::Status ReplayEvents(grpc::ServerContext* context, const v1::ReplayEventsRequest* request,
                            v1::ReplayEventsResponse* response) override;

 private:
  Result<Sending> Configured() const;

  EventStore& store_;
  const std::optional<Sending> sending_;
  const Clock& clock_;
  CallGates& gates_;
  // Each waits for a receiver.
  CallGate tests_{{.what = "tests of event sinks", .per_key_max = 1, .total_max = 8, .operator_max = 2}};
};

}  // namespace allod::billing::events
