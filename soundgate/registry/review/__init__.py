"""Reviewing candidates: what a reviewer sees, decides, and what a decision does."""
