#include "tests/integration/gateway_http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cctype>
#include <stdexcept>
#include <utility>

namespace allod::gateway {
namespace {

// Takes chunks off `raw` into `body`; true when the last one was there.
bool Dechunk(const std::string& raw, std::string& body) {
  std::size_t at = 0;
  while (true) {
    const std::size_t line_end = raw.find("\r\n", at);
    if (line_end == std::string::npos) return false;
    const std::size_t size = std::stoul(raw.substr(at, line_end - at), nullptr, 16);
    if (size == 0) return true;
    if (line_end + 2 + size > raw.size()) {
      body += raw.substr(line_end + 2);
      return false;
    }
    body += raw.substr(line_end + 2, size);
    at = line_end + 2 + size + 2;
  }
}

}  // namespace

HttpClient::HttpClient(int port, int receive_buffer_bytes) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval timeout{.tv_sec = 60, .tv_usec = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  if (receive_buffer_bytes > 0) {
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof(receive_buffer_bytes));
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    throw std::runtime_error("cannot connect to the gateway");
  }
}

HttpClient::~HttpClient() { Close(); }

void HttpClient::Close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

void HttpClient::Send(const std::string& method, const std::string& path, const std::string& api_key,
                      const std::string& body, const std::string& more_headers) {
  received_.clear();
  std::string message = method + " " + path + " HTTP/1.1\r\nhost: localhost\r\n" + more_headers;
  if (!api_key.empty()) message += "authorization: Bearer " + api_key + "\r\n";
  if (!body.empty()) message += "content-type: application/json\r\n";
  message += "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  SendRaw(message);  // the answer, or its absence, tells
}

bool HttpClient::SendRaw(const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t n = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<std::size_t>(n);
  }
  return true;
}

void HttpClient::CloseSending() { ::shutdown(socket_, SHUT_WR); }

void HttpClient::Reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  Close();
}

std::string HttpClient::ReceiveAll() {
  while (ReadMore()) {
  }
  return std::exchange(received_, "");
}

bool HttpClient::ReadMore() {
  char buffer[4096];
  const ssize_t n = ::recv(socket_, buffer, sizeof(buffer), 0);
  if (n <= 0) return false;
  received_.append(buffer, static_cast<std::size_t>(n));
  return true;
}

bool HttpClient::ReadUntil(const std::string& text) {
  return ReadUntil([&](const std::string& received) { return received.find(text) != std::string::npos; });
}

bool HttpClient::ReadUntil(const std::function<bool(const std::string&)>& is_enough) {
  while (!is_enough(received_)) {
    if (!ReadMore()) return false;
  }
  return true;
}

std::string HttpClient::Peek() const {
  std::string out(65'536, '\0');
  const ssize_t n = ::recv(socket_, out.data(), out.size(), MSG_PEEK | MSG_DONTWAIT);
  out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return out;
}

bool HttpClient::HasEnded() const {
  pollfd waiting{.fd = socket_, .events = POLLRDHUP, .revents = 0};
  return ::poll(&waiting, 1, 0) > 0;
}

bool HttpClient::ReadBytes(std::size_t count) {
  while (received_.size() < count) {
    if (!ReadMore()) return false;
  }
  return true;
}

HttpClient::Response HttpClient::Receive() {
  Response out;
  if (!ReadUntil("\r\n\r\n")) return out;
  const std::size_t head_end = received_.find("\r\n\r\n") + 4;
  out.head = received_.substr(0, head_end);
  for (char& c : out.head) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  out.status = std::stoi(out.head.substr(9, 3));
  const bool chunked = out.head.find("transfer-encoding: chunked") != std::string::npos;
  const std::size_t length_at = out.head.find("content-length: ");
  const std::size_t length = length_at == std::string::npos ? 0 : std::stoul(out.head.substr(length_at + 16));
  while (true) {
    const std::string raw = received_.substr(head_end);
    out.body.clear();
    out.complete = chunked ? Dechunk(raw, out.body) : raw.size() >= length;
    if (!chunked) out.body = raw;
    if (out.complete || !ReadMore()) return out;
  }
}

HttpClient::Response Fetch(int port, const std::string& method, const std::string& path, const std::string& api_key,
                           const std::string& body, const std::string& more_headers) {
  HttpClient client(port);
  client.Send(method, path, api_key, body, more_headers);
  return client.Receive();
}

}  // namespace allod::gateway
