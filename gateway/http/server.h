// The HTTP/1.1 server: listener, connections, limits, graceful stop. Runs its own threads; each connection has a
// strand.
#pragma once

#include <chrono>
#include <expected>
#include <memory>

#include "gateway/http/body_budget.h"
#include "gateway/http/response_writer.h"
#include "gateway/http/server_config.h"
#include "services/common/result.h"

namespace allod::gateway::http {

// What a server serves. Used by all its threads.
class Application {
 public:
  virtual ~Application() = default;
  // Asked once for each request, when its head is there and before any byte of a body is kept: on whose account the
  // body is read, or else the answer, which the head alone decides; then the body is not read. Does not block.
  virtual std::expected<BodyAccount, Response> Admit(const Request& head) = 0;
  // Answers a request that was admitted; always sends something unless the client is gone. The request lives until it
  // returns.
  virtual Awaitable<void> Handle(Request& request, ResponseWriter& out) = 0;
  // Headers of every answer to it.
  virtual Headers CommonHeaders(const Request& head) const = 0;
  // It was answered with `status` without reaching Handle().
  virtual void OnRefused(const Request& head, int status) = 0;
};

class Server {
 public:
  // `application` and `budget` must outlive the server. INVALID_ARGUMENT / CANNOT_LISTEN.
  static Result<std::unique_ptr<Server>> Start(const ServerConfig& config, Application& application,
                                               BodyBudget& budget);
  ~Server();  // Stop(0)
  Server(const Server&) = delete;

  // Accepts nothing more; requests in flight get `grace`, then shutting_down() becomes true for them. Joins.
  void Stop(std::chrono::milliseconds grace);
  int port() const;
  int connection_count() const;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace allod::gateway::http
