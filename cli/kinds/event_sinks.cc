// Event sinks. No manifest makes them: their secret is shown once, by `allod events sinks create`.

#include "allod/billing/v1/event_sink.grpc.pb.h"
#include "cli/kinds/calls.h"
#include "services/common/ids.h"

namespace allod::cli::kinds {

std::vector<ResourceKind> EventSinkKinds() {
  using Service = allod::billing::v1::EventSinkService;
  using allod::billing::v1::EventSink;
  return {{.kind = "EventSink",
           .plural = "eventSinks",
           .pattern = "tenants/*/eventSinks/*",
           .parent_pattern = "tenants/*",
           .columns = {{"NAME", "name"},
                       {"DISPLAY NAME", "display_name"},
                       {"URL", "url"},
                       {"KINDS", "kinds",
                        [](const google::protobuf::Message& sink) {
                          const std::string kinds = terminal::FieldText(sink, "kinds");
                          return kinds.empty() ? "all" : kinds;
                        }},
                       {"STATE", "status.state"},
                       {"BACKLOG", "status.backlog_count"},
                       {"LAST SUCCESS", "status.last_success_time"},
                       {"LAST ERROR", "status.last_error"}},
           .prototype = &EventSink::default_instance(),
           .get = Getter<Service>(&Service::Stub::GetEventSink),
           .list = Lister<Service>(&Service::Stub::ListEventSinks),
           .remove = [](const net::Services& services, const std::string& name,
                        const std::string& /*request_id*/) -> Result<net::Change> {
             allod::billing::v1::DeleteEventSinkRequest request;
             request.set_name(name);
             return Done(net::Ask<Service>(services, &Service::Stub::DeleteEventSink, request));
           },
           .lost = "what it has not got yet is not kept for it, and nothing is sent to it from then on"}};
}

}  // namespace allod::cli::kinds
