// One streamed completion over HTTP as a stop-watch sees it, from the platform's gateway or from llama-server: both
// speak the same protocol, so both sides of a comparison are measured by the same code.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace allod::bench {

using SteadyClock = std::chrono::steady_clock;
using SteadyTime = SteadyClock::time_point;

inline double MillisecondsBetween(SteadyTime from, SteadyTime to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}
inline double SecondsBetween(SteadyTime from, SteadyTime to) {
  return std::chrono::duration<double>(to - from).count();
}

struct StreamRequest {
  int port = 0;
  std::string key;   // none when empty
  std::string path;  // "/v1/completions"
  std::string body;
};

// A connection that reads events one by one. Blocking; one thread at a time. Errors end the stream, `error` says why.
class StreamClient {
 public:
  struct Options {
    std::string source_address = "127.0.0.1";  // any of 127.0.0.0/8
    bool small_buffers = false;                // the least the kernel grants: a stalled reader stalls soon
  };
  StreamClient() = default;
  ~StreamClient() { Close(); }
  StreamClient(const StreamClient&) = delete;
  StreamClient(StreamClient&& other) noexcept { *this = std::move(other); }
  StreamClient& operator=(StreamClient&& other) noexcept;

  // Connects and sends.
  bool Start(const StreamRequest& request, const Options& options, SteadyTime deadline);
  bool Start(const StreamRequest& request, SteadyTime deadline) { return Start(request, Options(), deadline); }
  // Status and headers; false when none came until the deadline. For answers other than 200 `error` has the body.
  bool ReadHead(SteadyTime deadline);
  // The next `data:` line; false at the end, or when nothing came until the deadline.
  bool ReadEvent(std::string_view& data, SteadyTime deadline);
  void Close();

  int socket() const { return socket_; }
  int status() const { return status_; }
  bool complete() const { return complete_; }  // [DONE] was seen
  const std::string& request_id() const { return request_id_; }
  const std::string& error() const { return error_; }

 private:
  bool ReadMore(SteadyTime deadline);

  int socket_ = -1;
  int status_ = 0;
  bool complete_ = false;
  std::string request_id_;
  std::string error_;
  std::string received_;
  std::size_t consumed_ = 0;
};

// What became of one stream, from sending to its end.
struct StreamTrace {
  SteadyTime sent;
  SteadyTime head;
  SteadyTime end;
  std::vector<SteadyTime> tokens;  // one entry for each event with text
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;  // as the server counted; 0 when the stream was cut
  int status = 0;
  bool complete = false;
  std::string request_id;
  std::string error;

  bool answered() const { return !tokens.empty(); }
  double first_token_ms() const { return MillisecondsBetween(sent, tokens.front()); }
};

// Reads to the end, or cuts at the deadline or as soon as it shall stop.
StreamTrace RunStream(const StreamRequest& request, SteadyTime deadline, const std::stop_token& stop = {});
// A thread for each, started together.
std::vector<StreamTrace> RunTogether(const std::vector<StreamRequest>& requests, SteadyTime deadline);

// Greedy requests of `tokens` tokens. An empty `model` is llama-server, which is told to do exactly that work.
std::string CompletionBody(const std::string& model, const std::string& prompt, int tokens);
std::string ChatBody(const std::string& model, const std::string& content, int tokens);

// Tokens per second over the time in which all of `traces` decoded; over all the time up to the deadline when some
// never got a token.
double TogetherRate(const std::vector<StreamTrace>& traces);
// All tokens over the time from the first request to the end of the last answer.
double WallRate(const std::vector<StreamTrace>& traces);

}  // namespace allod::bench
