// Follows the state that a service pushes: a table here is what the service has, as long as the stream lives.
//
// A stream sends the complete state, up to the message that says `synced`, then each change. Each message with `synced`
// has a version, which is acknowledged once the table has taken it.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "services/common/rpc/acknowledger.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/stream_reader.h"
#include "services/common/rpc/watch_loop.h"

namespace allod {

// What is fed. Each stream calls, from one thread: BeginSnapshot(), Apply() for each message, EndStream().
template <typename Table, typename Message>
concept PushedTable = requires(Table& table, const Message& message) {
  table.BeginSnapshot();
  table.Apply(message);
  table.EndStream();
};

// Feeds `table`, which must outlive the loop, with what `watch` sends, and tells `acknowledge` what is in force:
// Watch("routes", Caller::Service("gateway"), RouteService::NewStub(channel), &Async::WatchRoutes,
// &Stub::AcknowledgeRoutes, table). `name` appears in the log; `self` is who watches.
template <typename Stub, typename Async, typename WatchRequest, typename Message, typename AcknowledgeRequest,
          typename AcknowledgeResponse, PushedTable<Message> Table>
std::unique_ptr<WatchLoop> Watch(std::string name, const Caller& self, std::unique_ptr<Stub> stub_of_loop,
                                 void (Async::*watch)(grpc::ClientContext*, const WatchRequest*,
                                                      grpc::ClientReadReactor<Message>*),
                                 grpc::Status (Stub::*acknowledge)(grpc::ClientContext*, const AcknowledgeRequest&,
                                                                   AcknowledgeResponse*),
                                 Table& table) {
  const std::shared_ptr<Stub> stub = std::move(stub_of_loop);
  const auto acknowledger = std::make_shared<Acknowledger>(
      [stub, acknowledge, self](const std::string& watcher_id, std::int64_t version) -> Status {
        AcknowledgeRequest request;
        request.set_watcher_id(watcher_id);
        request.set_version(version);
        ALLOD_CHECK_OK(CallUnary(*stub, acknowledge, request, self, kAcknowledgeTimeout));
        return {};
      });
  return std::make_unique<WatchLoop>(
      std::move(name), self, [stub, watch, acknowledger, &table](grpc::ClientContext& context) {
        WatchRequest request;
        request.set_watcher_id(acknowledger->BeginStream());
        StreamReader<Message> reader(context);
        reader.Begin([&](auto* reactor) { (static_cast<Async*>(stub->async())->*watch)(&context, &request, reactor); });
        table.BeginSnapshot();
        Message message;
        while (reader.Read(message)) {
          table.Apply(message);
          if (message.synced()) acknowledger->Applied(message.version());
        }
        table.EndStream();
        acknowledger->EndStream();
        return reader.Finish();
      });
}

}  // namespace allod
