// One client connection: reads requests, hands them to the application one at a time, writes the answers. Lives on one
// strand; Stop() and Shutdown() may be called from any thread.
//
// While a request is answered the next ones may already come: up to 64 KiB of them are read, the rest waits in the
// client's socket. A client that closes the connection, or only its sending side, has left: what is being computed for
// it is interrupted. What needs no computing is answered all the same, so that one who sends some requests and then
// closes its sending side gets these answers.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gateway/http/connection_table.h"
#include "gateway/http/head.h"
#include "gateway/http/server.h"

namespace allod::gateway::http {

class Connection final : public ResponseWriter, public std::enable_shared_from_this<Connection> {
 public:
  // All references must outlive the connection.
  // `peer_address` is for the handlers of its requests.
  Connection(boost::asio::ip::tcp::socket socket, std::string peer_address, const ServerConfig& config, Application& application,
             BodyBudget& budget, ConnectionTable& table);

  // Serves until the connection ends; `place` is its place in the table.
  Awaitable<void> Run(ConnectionTable::Id place);
  // Says that there are too many connections, and closes. Instead of Run().
  Awaitable<void> TurnAway();
  // Closes for a newcomer; no request is in progress.
  void MakeWay();
  // No further request; an idle connection closes.
  void Stop();
  // shutting_down() becomes true.
  void Shutdown();

  Awaitable<Taken> Send(Response response) override;
  Awaitable<bool> StartStream(Headers headers) override;
  Awaitable<Taken> Write(std::string_view data) override;
  Awaitable<bool> EndStream() override;
  void Abort() override;
  const Trace& trace() const override { return trace_; }
  bool gone() const override { return gone_ || input_ended_; }
  bool shutting_down() const override { return shutting_down_; }
  void OnInterrupt(std::function<void()> interrupt) override;

 private:
  // nullopt: it was answered already, or the connection is over (then not keep_alive_).
  Awaitable<std::optional<Request>> ReadRequest();
  // Arms the deadline of the head.
  Awaitable<bool> AwaitFirstByte();
  // Sets what answers depend on.
  void Begin(const MessageHead& head);
  // The body, decoded; within the budget.
  Awaitable<ReadResult<std::string>> TakeBody(const MessageHead& head, const BodyAccount& account);
  Awaitable<void> Serve(Request& request);
  // Answers with an error, if there is one, and ends the connection so that the answer arrives although what the client
  // sends is not read. `head`: what is known of the request, or null.
  Awaitable<void> Refuse(const std::optional<Error>& error, const Request* head);
  Awaitable<void> SendAndEnd(Response response);
  Error WhyNoAnswer(bool failed) const;
  // kNothing as well when the client was known to have left before; the data is sent all the same. The first
  // `head_bytes` do not count.
  Awaitable<Taken> WriteAll(std::string_view data, std::size_t head_bytes = 0);
  std::string Head(int status, const std::string& content_type, const Headers& headers) const;

  // While a handler runs, something always reads: that is how a client's leaving is noticed.
  void StartWatch();
  void WatchOnce();
  Awaitable<void> StopWatch();
  void Interrupt();

  // What happens then: the connection is closed, or what is being read fails and timed_out_ is set.
  enum class Deadline { kClose, kStopReading };
  void ArmDeadline(int milliseconds, Deadline deadline = Deadline::kClose);
  void ArmDeadline(std::chrono::steady_clock::time_point when, Deadline deadline);
  void DisarmDeadline();
  void Close();

  const std::string peer_address_;
  const ServerConfig& config_;
  Application& application_;
  BodyBudget& budget_;
  ConnectionTable& table_;
  ConnectionTable::Id place_ = 0;
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer deadline_;
  Wakeup watch_ended_;
  boost::beast::flat_buffer buffer_;
  std::function<void()> interrupt_;

  const std::chrono::steady_clock::time_point opened_;
  bool had_head_ = false;  // a complete one

  std::string request_id_;  // of the request being answered
  Trace trace_;
  Headers common_headers_;
  bool head_only_ = false;  // it is a HEAD
  bool http_1_1_ = true;
  bool keep_alive_ = true;
  bool answered_ = false;  // a head was sent for it
  bool streaming_ = false;
  bool watching_ = false;
  bool watch_stopping_ = false;
  bool reading_idle_ = false;
  bool timed_out_ = false;
  bool input_ended_ = false;  // the client will send nothing more
  bool gone_ = false;         // and takes nothing either
  bool stopping_ = false;
  bool shutting_down_ = false;
};

}  // namespace allod::gateway::http
