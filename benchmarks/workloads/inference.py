"""Trained networks answering."""

from __future__ import annotations

from benchmarks.workload import workload
from benchmarks.workloads.training import bert


def answer_of(torch, model, *inputs):
    """A call of a network in evaluation mode."""
    model.eval()

    def work():
        with torch.no_grad():
            return model(*inputs)

    return work


@workload("inference", "BERT-mini, 1 of 128 tokens", 1.1)
def bert_one(torch):
    return answer_of(torch, bert(torch), torch.randint(0, 3000, (1, 128)))


@workload("inference", "BERT-mini, 8 of 128 tokens", 1.1)
def bert_batch(torch):
    return answer_of(torch, bert(torch), torch.randint(0, 3000, (8, 128)))


@workload("inference", "LSTM 2x256, 1 of 50 steps", 1.1)
def lstm_one(torch):
    return answer_of(torch, torch.nn.LSTM(128, 256, num_layers=2), torch.rand(50, 1, 128))


@workload("inference", "LSTM 2x256, 32 of 50 steps", 1.1)
def lstm_batch(torch):
    return answer_of(torch, torch.nn.LSTM(128, 256, num_layers=2), torch.rand(50, 32, 128))


@workload("inference", "GPT-2-size decode, one token, cache of 512", 1.1)
def gpt2_decode(torch):
    """One token through 12 layers of width 768 whose keys and values of 512 earlier tokens are kept."""
    nn, functional = torch.nn, torch.nn.functional
    layers, width, heads, past, words = 12, 768, 12, 512, 50257

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
            self.keys = torch.rand(1, heads, past, width // heads)
            self.values = torch.rand(1, heads, past, width // heads)

        def forward(self, x):
            q, k, v = (
                t.view(1, -1, heads, width // heads).transpose(1, 2)
                for t in self.qkv(self.norm1(x)).chunk(3, -1)
            )
            k, v = torch.cat([self.keys, k], 2), torch.cat([self.values, v], 2)
            a = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, -1, width)
            x = x + self.proj(a)
            return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places = nn.Embedding(words, width), nn.Embedding(1024, width)
            self.layers = nn.ModuleList([Layer() for _ in range(layers)])
            self.norm = nn.LayerNorm(width)

        def forward(self, token):
            x = self.words(token) + self.places(torch.tensor([[past]]))
            for layer in self.layers:
                x = layer(x)
            return functional.linear(self.norm(x)[:, -1], self.words.weight)

    return answer_of(torch, Gpt(), torch.tensor([[42]]))
