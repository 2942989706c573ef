// The HTTP/1.1 server: listener, connections, limits, graceful stop. Runs its own threads; each connection has a
// strand.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "gateway/http_server_config.h"
#include "gateway/response_writer.h"
#include "services/common/result.h"

namespace allod::gateway {

// Answers one request; always sends something unless the client is gone. The request lives until it returns.
using HttpHandler = std::function<Awaitable<void>(HttpRequest&, ResponseWriter&)>;
class HttpServer {
 public:
  // INVALID_ARGUMENT / CANNOT_LISTEN.
  static Result<std::unique_ptr<HttpServer>> Start(const HttpServerConfig& config, HttpHandler handler);
  ~HttpServer();  // Stop(0)
  HttpServer(const HttpServer&) = delete;

  // Accepts nothing more; requests in flight get `grace`, then shutting_down() becomes true for them. Joins.
  void Stop(std::chrono::milliseconds grace);
  int port() const;
  int connection_count() const;

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace allod::gateway
