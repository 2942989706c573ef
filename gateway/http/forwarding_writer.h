// A writer that passes everything on to another one: what changes or watches an answer derives from it.
#pragma once

#include <utility>

#include "gateway/http/response_writer.h"

namespace allod::gateway::http {

class ForwardingWriter : public ResponseWriter {
 public:
  // `inner` must outlive this.
  explicit ForwardingWriter(ResponseWriter& inner) : inner_(inner) {}

  Awaitable<Taken> Send(Response response) override { return inner_.Send(std::move(response)); }
  Awaitable<bool> StartStream(Headers headers) override { return inner_.StartStream(std::move(headers)); }
  Awaitable<Taken> Write(std::string_view data) override { return inner_.Write(data); }
  Awaitable<bool> EndStream() override { return inner_.EndStream(); }
  void Abort() override { inner_.Abort(); }
  const Trace& trace() const override { return inner_.trace(); }
  bool gone() const override { return inner_.gone(); }
  bool shutting_down() const override { return inner_.shutting_down(); }
  void OnInterrupt(std::function<void()> interrupt) override { inner_.OnInterrupt(std::move(interrupt)); }

 private:
  ResponseWriter& inner_;
};

}  // namespace allod::gateway::http
