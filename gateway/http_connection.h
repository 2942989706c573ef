// One client connection: reads requests, hands them to the handler one at a time, writes the answers. Lives on one
// strand; Stop() and Shutdown() may be called from any thread. The only file pair that parses HTTP.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gateway/http_server.h"

namespace allod::gateway {

class HttpConnection final : public ResponseWriter, public std::enable_shared_from_this<HttpConnection> {
 public:
  // `config` and `handler` must outlive the connection.
  HttpConnection(boost::asio::ip::tcp::socket socket, const HttpServerConfig& config, const HttpHandler& handler);

  // Serves until the connection ends.
  Awaitable<void> Run();
  // Says, if the socket takes it at once, that there are too many connections, and closes. Instead of Run().
  void TurnAway();
  // No further request; an idle connection closes.
  void Stop();
  // shutting_down() becomes true.
  void Shutdown();

  Awaitable<bool> Send(HttpResponse response) override;
  Awaitable<bool> StartStream(HttpHeaders headers) override;
  Awaitable<bool> Write(std::string_view data) override;
  Awaitable<bool> EndStream() override;
  void Abort() override;
  bool gone() const override { return gone_; }
  bool shutting_down() const override { return shutting_down_; }
  void OnInterrupt(std::function<void()> interrupt) override;

 private:
  // nullopt: the connection is over.
  Awaitable<std::optional<HttpRequest>> ReadRequest();
  Awaitable<bool> AwaitFirstByte();
  Awaitable<void> Serve(HttpRequest& request);
  Awaitable<void> Refuse(const char* reason, std::string message);
  Awaitable<bool> WriteAll(std::string_view data);
  std::string Head(int status, const std::string& content_type, const HttpHeaders& headers) const;

  // While a handler runs, something always reads: that is how a client's leaving is noticed.
  void StartWatch();
  void WatchOnce();
  Awaitable<void> StopWatch();
  void Interrupt();

  void ArmDeadline(int milliseconds);
  void DisarmDeadline();
  void Close();

  const HttpServerConfig& config_;
  const HttpHandler& handler_;
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer deadline_;
  Wakeup watch_ended_;
  boost::beast::flat_buffer buffer_;
  std::function<void()> interrupt_;

  std::string request_id_;  // of the request being answered
  bool head_only_ = false;  // it is a HEAD
  bool http_1_1_ = true;
  bool keep_alive_ = true;
  bool answered_ = false;  // a head was sent for it
  bool streaming_ = false;
  bool reading_ahead_ = false;
  bool watch_stopping_ = false;
  bool reading_idle_ = false;
  bool gone_ = false;
  bool stopping_ = false;
  bool shutting_down_ = false;
};

}  // namespace allod::gateway
