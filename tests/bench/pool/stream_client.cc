#include "tests/bench/pool/stream_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

namespace allod::bench {

namespace {

constexpr std::size_t kReceivedMax = 1 << 20;

bool WaitFor(int socket, short events, SteadyTime deadline) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
    if (left <= 0) return false;
    pollfd wanted{.fd = socket, .events = events, .revents = 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

sockaddr_in Address(const std::string& host, int port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<std::uint16_t>(port));
  ::inet_pton(AF_INET, host.c_str(), &out.sin_addr);
  return out;
}

int Connect(int port, const StreamClient::Options& options) {
  const int out = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (out < 0) return -1;
  const int on = 1;
  ::setsockopt(out, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (options.small_buffers) {
    // Small segments also make the kernel keep the sender's buffer small: like a telephone on a bad line.
    const int bytes = 2048, segment = 536;
    ::setsockopt(out, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    ::setsockopt(out, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
  }
  const sockaddr_in from = Address(options.source_address, 0);
  const sockaddr_in to = Address("127.0.0.1", port);
  if (::bind(out, reinterpret_cast<const sockaddr*>(&from), sizeof(from)) != 0 ||
      ::connect(out, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
    ::close(out);
    return -1;
  }
  return out;
}

std::int64_t NumberAfter(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return 0;
  std::int64_t out = 0;
  std::from_chars(text.data() + at + key.size(), text.data() + text.size(), out);
  return out;
}

// Whether an event delivers text. A search rather than a parse: the clients share two cores with what they measure.
bool HasText(std::string_view event) {
  for (const std::string_view key : {std::string_view("\"content\":\""), std::string_view("\"text\":\"")}) {
    const std::size_t at = event.find(key);
    if (at != std::string_view::npos && at + key.size() < event.size() && event[at + key.size()] != '"') return true;
  }
  return false;
}

}  // namespace

StreamClient& StreamClient::operator=(StreamClient&& other) noexcept {
  Close();
  socket_ = std::exchange(other.socket_, -1);
  status_ = other.status_;
  complete_ = other.complete_;
  request_id_ = std::move(other.request_id_);
  error_ = std::move(other.error_);
  received_ = std::move(other.received_);
  consumed_ = other.consumed_;
  return *this;
}

void StreamClient::Close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

bool StreamClient::Start(const StreamRequest& request, const Options& options, SteadyTime deadline) {
  socket_ = Connect(request.port, options);
  if (socket_ < 0) {
    error_ = std::string("cannot connect: ") + std::strerror(errno);
    return false;
  }
  std::string message = "POST " + request.path + " HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
  if (!request.key.empty()) message += "authorization: Bearer " + request.key + "\r\n";
  message += "content-length: " + std::to_string(request.body.size()) + "\r\n\r\n" + request.body;
  for (std::size_t sent = 0; sent < message.size();) {
    const ssize_t n = ::send(socket_, message.data() + sent, message.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      sent += static_cast<std::size_t>(n);
    } else if (errno != EAGAIN || !WaitFor(socket_, POLLOUT, deadline)) {
      error_ = "the request could not be sent";
      return false;
    }
  }
  return true;
}

bool StreamClient::ReadMore(SteadyTime deadline) {
  if (consumed_ > 4096 && consumed_ * 2 > received_.size()) {
    received_.erase(0, consumed_);
    consumed_ = 0;
  }
  if (received_.size() > kReceivedMax) {
    error_ = "an event is too long";
    return false;
  }
  char buffer[16384];
  while (true) {
    const ssize_t n = ::recv(socket_, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (n > 0) {
      received_.append(buffer, static_cast<std::size_t>(n));
      return true;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
      if (!complete_ && error_.empty()) error_ = "the connection was cut";
      return false;
    }
    if (!WaitFor(socket_, POLLIN, deadline)) {
      if (error_.empty()) error_ = "nothing came in time";
      return false;
    }
  }
}

bool StreamClient::ReadHead(SteadyTime deadline) {
  std::size_t end = 0;
  while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
    if (!ReadMore(deadline)) return false;
  }
  std::string head = received_.substr(0, end + 2);
  std::ranges::transform(head, head.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  status_ = head.size() > 12 ? std::atoi(head.c_str() + 9) : 0;
  const std::string key = "x-request-id: ";
  if (const std::size_t at = head.find(key); at != std::string::npos) {
    request_id_ = head.substr(at + key.size(), head.find('\r', at) - at - key.size());
  }
  consumed_ = end + 4;
  if (status_ != 200) {
    const auto length = static_cast<std::size_t>(NumberAfter(head, "content-length: "));
    while (received_.size() - consumed_ < length && ReadMore(deadline)) {
    }
    error_ = received_.substr(consumed_, 300);
  }
  return true;
}

bool StreamClient::ReadEvent(std::string_view& data, SteadyTime deadline) {
  while (true) {
    // Chunk sizes stand on lines of their own between events; only `data:` lines matter here.
    const std::size_t end = received_.find('\n', consumed_);
    if (end == std::string::npos) {
      if (!ReadMore(deadline)) return false;
      continue;
    }
    const std::string_view line(received_.data() + consumed_, end - consumed_);
    consumed_ = end + 1;
    if (!line.starts_with("data: ")) continue;
    data = line.substr(6);
    if (data.starts_with("[DONE]")) {
      complete_ = true;
      return false;
    }
    if (data.starts_with("{\"error\"")) error_ = data.substr(0, 300);
    return true;
  }
}

StreamTrace RunStream(const StreamRequest& request, SteadyTime deadline, const std::stop_token& stop) {
  StreamTrace trace;
  StreamClient client;
  trace.sent = trace.head = SteadyClock::now();
  const bool is_sent = client.Start(request, deadline);
  // Its reader sees that as the end of the stream.
  const std::stop_callback cut(stop, [fd = client.socket()] { ::shutdown(fd, SHUT_RDWR); });
  if (is_sent && client.ReadHead(deadline)) {
    trace.head = SteadyClock::now();
    trace.status = client.status();
    trace.request_id = client.request_id();
    std::string_view event;
    while (trace.status == 200 && client.ReadEvent(event, deadline)) {
      if (HasText(event)) trace.tokens.push_back(SteadyClock::now());
      if (const auto tokens = NumberAfter(event, "\"completion_tokens\":"); tokens > 0) {
        trace.completion_tokens = tokens;
        trace.prompt_tokens = NumberAfter(event, "\"prompt_tokens\":");
      }
    }
  }
  trace.end = SteadyClock::now();
  trace.complete = client.complete();
  trace.error = client.error();
  return trace;
}

std::vector<StreamTrace> RunTogether(const std::vector<StreamRequest>& requests, SteadyTime deadline) {
  std::vector<StreamTrace> out(requests.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      threads.emplace_back([&, i] { out[i] = RunStream(requests[i], deadline); });
    }
  }
  return out;
}

namespace {

// llama-server reads `top_k`, `ignore_eos` and `cache_prompt`; the gateway would refuse them, and needs none.
std::string Body(nlohmann::json body, const std::string& model, int tokens) {
  body["model"] = model;
  body["max_tokens"] = tokens;
  body["temperature"] = 0;
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  if (model.empty()) {
    body["top_k"] = 1;
    body["ignore_eos"] = true;
    body["cache_prompt"] = false;
  }
  return body.dump();
}

}  // namespace

std::string CompletionBody(const std::string& model, const std::string& prompt, int tokens) {
  return Body({{"prompt", prompt}}, model, tokens);
}

std::string ChatBody(const std::string& model, const std::string& content, int tokens) {
  return Body({{"messages", {{{"role", "user"}, {"content", content}}}}}, model, tokens);
}

namespace {

// Text that waited for a slow reader, or for the rest of a character, comes as one event for several tokens.
double TokensPerEvent(const StreamTrace& trace) {
  if (!trace.complete || trace.tokens.empty()) return 1;
  return static_cast<double>(trace.completion_tokens) / static_cast<double>(trace.tokens.size());
}

}  // namespace

double TogetherRate(const std::vector<StreamTrace>& traces) {
  if (traces.empty()) return 0;
  SteadyTime start = SteadyTime::min(), end = SteadyTime::max();
  bool all = true;
  for (const StreamTrace& trace : traces) {
    all = all && trace.answered();
    start = std::max(start, trace.answered() ? trace.tokens.front() : trace.sent);
    // A stream that ended by itself ends the togetherness with its last token; one that was cut decoded until then.
    end = std::min(end, trace.complete ? trace.tokens.back() : trace.end);
  }
  if (!all || end <= start) return WallRate(traces);
  double tokens = 0;
  for (const StreamTrace& trace : traces) {
    // The first token of each stream marks the start and does not count.
    const auto within = [&](SteadyTime t) { return t > start && t <= end; };
    tokens += static_cast<double>(std::ranges::count_if(trace.tokens, within)) * TokensPerEvent(trace);
  }
  return tokens / SecondsBetween(start, end);
}

double WallRate(const std::vector<StreamTrace>& traces) {
  if (traces.empty()) return 0;
  double tokens = 0;
  SteadyTime start = SteadyTime::max(), end = SteadyTime::min();
  for (const StreamTrace& trace : traces) {
    tokens += static_cast<double>(trace.tokens.size()) * TokensPerEvent(trace);
    start = std::min(start, trace.sent);
    end = std::max(end, trace.end);
  }
  return end > start ? tokens / SecondsBetween(start, end) : 0;
}

}  // namespace allod::bench
