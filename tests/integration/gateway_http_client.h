// A blocking HTTP/1.1 client that shows what an ordinary one hides: chunks as they come, and whether a stream ended or
// broke.
#pragma once

#include <functional>
#include <string>

namespace allod::gateway {

class HttpClient {
 public:
  // Connects; throws std::runtime_error. With a small receive buffer the other side soon notices that nobody reads.
  explicit HttpClient(int port, int receive_buffer_bytes = 0);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;

  void Send(const std::string& method, const std::string& path, const std::string& api_key,
            const std::string& body = "", const std::string& more_headers = "");

  // Bytes as they are. False when the connection broke before all were taken.
  bool SendRaw(const std::string& bytes);
  // Nothing more will be sent; answers can still be read.
  void CloseSending();
  // Closes so that the other side sees a reset.
  void Reset();
  // Everything until the other side closes (or 20 s passed without a byte).
  std::string ReceiveAll();

  struct Response {
    int status = 0;
    std::string head;  // in lower case
    std::string body;
    bool complete = false;  // the whole body came: its length, or the last chunk
  };
  Response Receive();
  // Reads until `text` was seen in what came since Send; false when the connection ended first.
  bool ReadUntil(const std::string& text);
  // Reads until what came since Send is enough.
  bool ReadUntil(const std::function<bool(const std::string&)>& is_enough);
  // What has come and is not read, as far as it fits; it is not read by this either.
  std::string Peek() const;
  // Whether the other side has ended the connection; what it sent before may be there still.
  bool HasEnded() const;
  // Reads until that many bytes came since Send.
  bool ReadBytes(std::size_t count);
  void Close();

 private:
  bool ReadMore();

  int socket_ = -1;
  std::string received_;
};

// One request on a connection of its own.
HttpClient::Response Fetch(int port, const std::string& method, const std::string& path, const std::string& api_key,
                           const std::string& body = "", const std::string& more_headers = "");

}  // namespace allod::gateway
