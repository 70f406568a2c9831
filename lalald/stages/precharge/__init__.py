"""precharge"""
