// Runs one admitted request: has its cost held, has a worker do the job, and says how it ended. Answers the client in
// every case.
#pragma once

#include <chrono>
#include <memory>

#include "gateway/http/response_writer.h"
#include "gateway/metering/funds_source.h"
#include "gateway/metering/metered_request.h"
#include "gateway/serving/dispatch.h"
#include "gateway/serving/limits.h"
#include "gateway/serving/routes.h"
#include "gateway/serving/waiting_room.h"
#include "gateway/serving/worker_job.h"

namespace allod::gateway::serving {

// Shared by all requests; outlives them.
struct Context {
  const Limits& limits;
  std::chrono::milliseconds request_timeout;
  RouteTable& routes;
  metering::FundsSource& funds;
  WaitingRoom room;
  std::string jurisdiction;  // in which this gateway stands
};

class MeteredRun {
 public:
  // All references must outlive Run().
  MeteredRun(Context& context, std::shared_ptr<const InstanceRoute> route, metering::MeteredRequest& metered,
             WorkerJob& job, http::ResponseWriter& out)
      : context_(context), route_(std::move(route)), metered_(metered), job_(job), out_(out) {}

  // The terms are those of the route.
  http::Awaitable<void> Run(Hold::Owner owner);

 private:
  http::Awaitable<void> Conclude(const Dispatch::Ending& ending, const std::string& request_id);

  Context& context_;
  const std::shared_ptr<const InstanceRoute> route_;
  metering::MeteredRequest& metered_;
  WorkerJob& job_;
  http::ResponseWriter& out_;
};

}  // namespace allod::gateway::serving
